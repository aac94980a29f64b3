import { setImmediate } from "node:timers/promises";
import type { Clock, Timer } from "../../src/core/clock.ts";

/** Time that passes a millisecond at a time, and costs nothing where nothing is due. Timers wait for whole ones. */
export class VirtualClock implements Clock {
  #now = 0;
  readonly #due = new Map<number, Set<() => void>>();

  now(): number {
    return this.#now;
  }

  wallTime(): number {
    return this.#now;
  }

  setTimer(delayMs: number, fire: () => void, since: number = this.#now): Timer {
    const dueAt = Math.max(Math.ceil(since + delayMs), this.#now + 1);
    const timers = this.#due.get(dueAt) ?? new Set();
    this.#due.set(dueAt, timers.add(fire));
    return { cancel: () => void timers.delete(fire) };
  }

  /** Moves on by a millisecond, and lets everything run that waits for a promise. */
  async step(): Promise<void> {
    this.#now += 1;
    const timers = this.#due.get(this.#now);
    if (!timers) return;
    this.#due.delete(this.#now);
    for (const fire of timers) fire();
    await setImmediate();
  }
}
