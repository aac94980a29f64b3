import { fork } from "node:child_process";
import { once } from "node:events";
import { expect, onTestFinished, test } from "vitest";

const CALLS = 20_000;

/** Less than the smallest thing that could be left of a call: an empty object in a list. */
const BYTES_PER_CALL = 40;

test.each(["createClient", "clientMiddleware"])(`${CALLS} calls over %s leave nothing behind`, async (way) => {
  const worker = new URL("./leak-worker.ts", import.meta.url);
  const child = fork(worker, [way, String(CALLS)], { execArgv: [...process.execArgv, "--expose-gc"] });
  onTestFinished(() => void child.kill("SIGKILL"));
  const crashed = once(child, "exit").then(([code]) => Promise.reject(new Error(`the worker ended with ${code}`)));
  const [left] = await Promise.race([once(child, "message"), crashed]);
  console.log(way, left);
  expect(left.bytesPerCall).toBeLessThan(BYTES_PER_CALL);
  expect(left).toMatchObject({ listeners: 0, activeCalls: 0 });
  // grpc-js's own: connection backoff, idle and keepalive.
  expect(left.timers).toBeLessThan(10);
});
