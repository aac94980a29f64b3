import { getEventListeners } from "node:events";
import { setImmediate } from "node:timers/promises";
import fc from "fast-check";
import { expect, test } from "vitest";
import { withHeartbeats } from "../../src/server/heartbeat-stream.ts";
import { fakeClock } from "../../src/testing/index.ts";

const INTERVAL_MS = 10;
const BEAT = "heartbeat";

/** A stream with heartbeats, its handler, its reader and its call in the test's hands. */
function setUp() {
  const clock = fakeClock();
  const call = new AbortController();
  const steps: PromiseWithResolvers<IteratorResult<unknown>>[] = [];
  const counts = { pending: 0, mostPending: 0, returned: 0, yielded: 0 };
  const own: { signal?: AbortSignal } = {};
  const settle = (how: (step: PromiseWithResolvers<IteratorResult<unknown>>) => void) => {
    const step = steps.shift();
    if (!step) return;
    counts.pending -= 1;
    how(step);
  };
  const iterator = {
    next: () => {
      const step = Promise.withResolvers<IteratorResult<unknown>>();
      steps.push(step);
      counts.pending += 1;
      counts.mostPending = Math.max(counts.mostPending, counts.pending);
      if (own.signal?.aborted) settle((step) => step.reject(own.signal?.reason));
      return step.promise;
    },
    // Like a generator: it can be left only once its step is over.
    return: async () => {
      counts.returned += 1;
      await Promise.allSettled(steps.map(({ promise }) => promise));
      return { done: true as const, value: undefined };
    },
  };
  const heartbeats = { intervalMs: INTERVAL_MS, clock, message: () => BEAT };
  const stream = withHeartbeats(call.signal, heartbeats, (signal) => {
    own.signal = signal;
    signal.addEventListener("abort", () => settle((step) => step.reject(signal.reason)));
    return { [Symbol.asyncIterator]: () => iterator };
  });
  const reads: { at: number; told: Promise<{ at: number; value: unknown }> }[] = [];
  const read = () => {
    const told = stream.next().then(
      ({ done, value }) => ({ at: clock.now(), value: done ? "done" : value }),
      () => ({ at: clock.now(), value: "failed" }),
    );
    reads.push({ at: clock.now(), told });
  };
  const actions = {
    read,
    readAgain: read,
    yields: () => settle((step) => step.resolve({ done: false, value: counts.yielded++ })),
    ends: () => settle((step) => step.resolve({ done: true, value: undefined })),
    fails: () => settle((step) => step.reject(new Error("no"))),
    leave: () => void stream.return?.().catch(() => {}),
    abort: () => call.abort("gone"),
    turn: () => setImmediate(),
    "a while passes": () => clock.advance(7),
    "an interval passes": () => clock.advance(INTERVAL_MS),
  };
  return { clock, call, counts, stream, reads, actions };
}

test("order, one step at a time, heartbeats no closer than the interval, and nothing left, whatever happens when", async () => {
  const names = Object.keys(setUp().actions) as (keyof ReturnType<typeof setUp>["actions"])[];
  await fc.assert(
    fc.asyncProperty(fc.array(fc.constantFrom(...names), { maxLength: 25 }), async (script) => {
      const { clock, call, counts, stream, reads, actions } = setUp();
      for (const name of script) await actions[name]();
      call.abort("the test is over");
      await stream.return?.().catch(() => {});
      const told = await Promise.all(reads.map(({ told }) => told));
      const values = told.map(({ value }) => value);
      const messages = values.filter((value) => typeof value === "number");
      expect(messages).toEqual(messages.map((_, index) => index));
      const end = values.indexOf("done");
      expect(values.slice(end < 0 ? values.length : end).every((value) => value === "done")).toBe(true);
      expect(values.filter((value) => value === "failed").length).toBeLessThanOrEqual(1);
      for (const [index, { at, value }] of told.entries()) {
        const since = Math.max(reads[index]?.at ?? 0, told[index - 1]?.at ?? 0);
        if (value === BEAT) expect(at - since).toBeGreaterThanOrEqual(INTERVAL_MS);
      }
      expect(counts.mostPending).toBeLessThanOrEqual(1);
      expect(counts.returned).toBeLessThanOrEqual(1);
      expect(clock.pending).toBe(0);
      expect(getEventListeners(call.signal, "abort")).toEqual([]);
    }),
    { numRuns: 1_000 },
  );
});
