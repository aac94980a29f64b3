import fc from "fast-check";
import { expect, test } from "vitest";
import type { Timer } from "../../src/core/clock.ts";
import { TICK_MS } from "../../src/core/timer-wheel.ts";
import { SteppedWheel } from "../support/stepped-wheel.ts";

interface Entry {
  readonly dueAt: number;
  state: "waits" | "fired" | "cancelled";
}

type Step =
  | {
      readonly do: "set";
      readonly delayMs: number;
      readonly agoMs: number;
      readonly reaction: Callback;
      readonly times: number;
    }
  | { readonly do: "cancel"; readonly which: number }
  | { readonly do: "advance"; readonly ms: number };

/** What a timer does when it fires, besides being counted. */
type Callback =
  | { readonly do: "nothing" | "throw" }
  | { readonly do: "set"; readonly delayMs: number }
  | { readonly do: "cancel"; readonly which: number };

const delayMs = fc.oneof(
  fc.double({ min: 0, max: 400, noNaN: true }),
  fc.integer({ min: 10_000, max: 10_500 }),
  fc.integer({ min: 0, max: 40_000 }),
);
const which = fc.nat({ max: 80 });
const callback: fc.Arbitrary<Callback> = fc.oneof(
  { weight: 4, arbitrary: fc.constant({ do: "nothing" as const }) },
  fc.constant({ do: "throw" as const }),
  fc.record({ do: fc.constant("set" as const), delayMs }),
  fc.record({ do: fc.constant("cancel" as const), which }),
);
const step: fc.Arbitrary<Step> = fc.oneof(
  fc.record({
    do: fc.constant("set" as const),
    delayMs,
    agoMs: fc.constantFrom(0, 0, 0.7, 20),
    reaction: callback,
    times: fc.oneof({ weight: 19, arbitrary: fc.constant(1) }, fc.constant(40)),
  }),
  fc.record({ do: fc.constant("cancel" as const), which }),
  fc.record({
    do: fc.constant("advance" as const),
    ms: fc.oneof(fc.double({ min: 0, max: 100, noNaN: true }), fc.integer({ min: 0, max: 15_000 })),
  }),
);

/** A wheel beside what it should do, as a list that is searched from end to end. */
class Compared {
  readonly time: SteppedWheel;
  readonly #timers: { readonly entry: Entry; readonly timer: Timer }[] = [];
  /** How late each alarm is, in milliseconds. */
  readonly #lateMs: number;
  #throws = 0;

  constructor(now: number, lateMs: number) {
    this.time = new SteppedWheel(now);
    this.#lateMs = lateMs;
  }

  set(delayMs: number, agoMs: number, reaction: Callback): void {
    const since = this.time.now - agoMs;
    const entry: Entry = { dueAt: Math.max(since + delayMs, this.time.now), state: "waits" };
    const fire = () => {
      expect(entry.state).toBe("waits");
      expect(this.time.now).toBeGreaterThanOrEqual(entry.dueAt);
      entry.state = "fired";
      this.#react(reaction);
    };
    this.#timers.push({ entry, timer: this.time.setTimer(delayMs, fire, since) });
  }

  cancel(which: number): void {
    const made = this.#timers[which];
    if (!made) return;
    made.timer.cancel();
    if (made.entry.state === "waits") made.entry.state = "cancelled";
  }

  advance(ms: number): void {
    this.time.advance(ms, this.#lateMs);
  }

  #react(reaction: Callback): void {
    if (reaction.do === "set") this.set(reaction.delayMs, 0, { do: "nothing" });
    if (reaction.do === "cancel") this.cancel(reaction.which);
    if (reaction.do !== "throw") return;
    this.#throws += 1;
    throw new Error("a timer's");
  }

  check(): void {
    const waiting = this.#timers.filter(({ entry }) => entry.state === "waits");
    expect(this.time.wheel.waiting).toBe(waiting.length);
    expect(this.time.held).toBe(waiting.length > 0);
    expect(this.time.thrown.length).toBe(this.#throws);
    // An alarm that is late makes all that follow late: the next one is set from then on, and one for each throw.
    const longestMs = TICK_MS + (2 + this.#throws) * this.#lateMs;
    for (const { entry } of waiting) expect(this.time.now - entry.dueAt).toBeLessThan(longestMs + 0.001);
  }
}

test("a timer wheel fires what a list would, never early and at most a tick late, whatever callbacks do", () => {
  const begin = fc.double({ min: 20, max: 1e9, noNaN: true });
  const lateMs = fc.constantFrom(0, 0, 3.5, 200, 12_000);
  fc.assert(
    fc.property(begin, lateMs, fc.array(step, { maxLength: 40 }), (now, lateMs, steps) => {
      const compared = new Compared(now, lateMs);
      for (const step of steps) {
        if (step.do === "set") {
          compared.set(step.delayMs, step.agoMs, step.reaction);
          for (let n = 1; n < step.times; n += 1) compared.set(step.delayMs, step.agoMs, { do: "nothing" });
        }
        if (step.do === "cancel") compared.cancel(step.which);
        if (step.do === "advance") compared.advance(step.ms);
        compared.check();
      }
      compared.advance(1_000_000);
      compared.check();
      expect(compared.time.wheel.waiting).toBe(0);
    }),
    { numRuns: 500 },
  );
});
