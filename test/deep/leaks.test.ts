import { fork } from "node:child_process";
import { once } from "node:events";
import { describe, test } from "vitest";
import { RETRIES_IN_FLIGHT } from "../support/faulty-orders.ts";

const CALLS = 100_000;

/** Less than the smallest thing that could be left of a call: an empty object in a list. */
const BYTES_PER_CALL = 40;

/** What must have happened, and often. */
const HAPPENED = [
  ...["OK", "STATUS", "CANCELLED", "DEADLINE_EXCEEDED", "BREAKER_OPEN"],
  ...["retry scheduled: UNAVAILABLE", "retry scheduled: DEADLINE_EXCEEDED"],
  ...["retry denied: MAX_ATTEMPTS", "retry denied: COMMITTED", "retry denied: PUSHBACK"],
  ...["breaker opened", "breaker half-opened", "breaker rejected"],
];

describe.concurrent(`${CALLS} calls, half of them with faults, leave nothing behind`, () => {
  test.for(["createClient", "clientMiddleware"])("over %s", async (way, { expect, onTestFinished }) => {
    const worker = new URL("./leak-worker.ts", import.meta.url);
    // Collecting garbage would drop code that was not run for a while, by the megabyte.
    const execArgv = [...process.execArgv, "--expose-gc", "--no-flush-bytecode"];
    const child = fork(worker, [way, String(CALLS)], { execArgv });
    onTestFinished(() => void child.kill("SIGKILL"));
    const crashed = once(child, "exit").then(([code]) => Promise.reject(new Error(`the worker ended with ${code}`)));
    const [{ tally, ...left }] = await Promise.race([once(child, "message"), crashed]);
    console.log(way, left, tally);
    expect(left.bytesPerCall).toBeLessThan(BYTES_PER_CALL);
    expect(left.handles).toEqual(left.handlesBefore);
    expect(left.handles).not.toHaveProperty("Timeout");
    expect(left).toMatchObject({ listeners: 0, activeCalls: 0, trials: 0, retriesAllowed: RETRIES_IN_FLIGHT });
    expect(HAPPENED.filter((what) => !(tally[what] > CALLS / 1_000))).toEqual([]);
  });
});
