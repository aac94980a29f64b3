import { getEventListeners } from "node:events";
import { setImmediate } from "node:timers/promises";
import type { BufferedStream } from "bowline/stream";
import fc from "fast-check";
import { afterAll, expect, test } from "vitest";
import { fakeClock } from "../../src/testing/index.ts";
import { MessageSource } from "../support/message-source.ts";
import { type OperatorCase, operators } from "../support/operators.ts";

const unhandled: unknown[] = [];
const onUnhandled = (error: unknown) => unhandled.push(error);
process.on("unhandledRejection", onUnhandled);
afterAll(() => process.off("unhandledRejection", onUnhandled));

const BOOM = new Error("boom");

/** A stream over an operator, its source, its callback, its signal and its clock in the test's hands. */
function setUp(operator: OperatorCase, withSignal = true) {
  const source = new MessageSource<number>();
  const clock = fakeClock();
  const controller = new AbortController();
  let throwsAt: number | undefined;
  let threw = false;
  const visit = (message: number) => {
    if (message !== throwsAt) return;
    threw = true;
    throw BOOM;
  };
  const stream = operator.make(source, { clock, visit, ...(withSignal && { signal: controller.signal }) });
  const reads: Promise<IteratorResult<unknown, undefined>>[] = [];
  const delivered: number[] = [];
  let [given, mostAhead] = [0, 0];
  const look = () => {
    const passedOver = operator.keeps === "even ones" ? Math.floor(source.taken / 2) : 0;
    mostAhead = Math.max(mostAhead, source.taken - passedOver - delivered.length);
  };
  const actions = {
    read: () => {
      const read = stream.next();
      read.then(
        ({ value }) => delivered.push(...([value ?? []].flat() as number[])),
        () => {},
      );
      reads.push(read);
    },
    give: () => source.give(given++),
    end: () => source.end(),
    fail: () => source.fail("the source"),
    abort: () => controller.abort("caller"),
    leave: () => void stream.return(),
    throwNext: () => {
      throwsAt ??= given;
    },
    wait: () => clock.advance(60),
    turn: () => setImmediate(),
  };
  const state = () => ({ given, mostAhead, threw });
  const listeners = () => getEventListeners(controller.signal, "abort").length;
  return { stream, source, clock, controller, reads, delivered, actions, state, look, listeners };
}

const actionNames = Object.keys(setUp(operators[0] as OperatorCase).actions) as (keyof ReturnType<
  typeof setUp
>["actions"])[];
const script = fc.array(
  fc.oneof(
    fc.constantFrom(...actionNames),
    fc.constantFrom("read" as const, "give" as const, "turn" as const),
    fc.constantFrom("read" as const, "give" as const),
  ),
  { maxLength: 24 },
);

/** What comes out of so many messages if nothing is dropped. */
function expected({ keeps }: OperatorCase, given: number): number[] {
  const all = Array.from({ length: given }, (_, index) => index);
  if (keeps === "first 3") return all.slice(0, 3);
  return keeps === "even ones" ? all.filter((message) => message % 2 === 0) : all;
}

/** How often the source must have been left, if nothing but its own end can have ended the stream. */
function expectedReturns(
  { keeps }: OperatorCase,
  names: readonly string[],
  ended: boolean,
  delivered: number,
): number[] {
  if (names.some((name) => ["leave", "abort", "throwNext", "wait"].includes(name))) return ended ? [0, 1] : [1];
  if (keeps === "first 3" && delivered === 3) return [1];
  return ended ? [0] : [1];
}

test.each(operators)("$name keeps order, its bound and its source, whatever happens when", async (operator) => {
  await fc.assert(
    fc.asyncProperty(script, fc.boolean(), async (names, withSignal) => {
      const { stream, source, clock, reads, delivered, actions, state, look, listeners } = setUp(operator, withSignal);
      for (const name of names) {
        await actions[name]();
        if (name === "turn") look();
      }
      await setImmediate();
      look();
      await stream.return();
      const settled = await Promise.allSettled(reads);

      const kinds = settled.map((read) => (read.status === "rejected" ? "failed" : read.value.done ? "done" : "value"));
      expect(kinds.join(" ")).toMatch(/^(value ?)*(failed ?)?(done ?)*$/);
      const { given, mostAhead, threw } = state();
      const whole = expected(operator, given);
      const order = operator.keeps === "some" ? whole.filter((message) => delivered.includes(message)) : whole;
      expect(delivered).toEqual(order.slice(0, delivered.length));
      // Whoever leaves leaves the message that was on its way, and one that its callback failed on is handed to nobody.
      const lost = threw || names.includes("leave") || names.includes("abort") ? 1 : 0;
      expect(mostAhead).toBeLessThanOrEqual(operator.readsAhead + lost);
      expect(expectedReturns(operator, names, source.ended, delivered.length)).toContain(source.returns);
      expect(listeners()).toBe(0);
      expect(clock.pending).toBe(0);
      expect(await stream.next()).toEqual({ done: true, value: undefined });
      await setImmediate();
      expect(unhandled).toEqual([]);
    }),
    { numRuns: 200 },
  );
});

test.each(operators)("$name hands out everything that it does not count as dropped", async (operator) => {
  const step = fc.constantFrom("read" as const, "give" as const, "turn" as const);
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 30 }), async (names) => {
      const { stream, source, delivered, actions, state, reads } = setUp(operator);
      for (const name of names) await actions[name]();
      actions.end();
      await Promise.all(reads);
      for await (const message of stream) delivered.push(...([message].flat() as number[]));

      const whole = expected(operator, state().given);
      const dropped = "stats" in stream ? (stream as BufferedStream<number>).stats().dropped : 0;
      expect(delivered.length + dropped).toBe(whole.length);
      expect(operator.keeps === "some" ? delivered : whole).toEqual(delivered);
      expect(source.returns).toBe(operator.keeps === "first 3" && whole.length === 3 ? 1 : 0);
    }),
    { numRuns: 100 },
  );
});
