import { setImmediate } from "node:timers/promises";
import type { Clock, Timer } from "../core/clock.ts";

/** Where a fake clock starts. */
export interface FakeClockOptions {
  /** The monotonic time at the start, in milliseconds. Default: 0. */
  readonly now?: number | undefined;
  /** Wall time at the start, in milliseconds since 1970. Default: the first moment of 2026, UTC. */
  readonly wallTime?: number | undefined;
}

const FIRST_OF_2026 = Date.UTC(2026, 0, 1);

/** A clock that moves only when it is told to; made by `fakeClock`. */
export interface FakeClock extends Clock {
  /** How many timers wait to fire: 0 at a test's end shows that none was left behind. */
  readonly pending: number;
  /**
   * Moves time on by `ms` and fires every timer that becomes due on the way: in the order of their due times, those
   * of one instant in the order of their making, and those made on the way too. Before each timer and at the end,
   * all that waits for a promise runs.
   *
   * @throws RangeError if `ms` is no finite number or negative; Error while another `advance` is under way; whatever
   *   a timer throws, and the clock then stands at that timer.
   */
  advance(ms: number): Promise<void>;
  /** Moves wall time alone, as when the machine's clock is set; negative: back. */
  jumpWall(ms: number): void;
}

/** Makes a clock for tests: nothing passes between two calls of `advance`. */
export function fakeClock(options: FakeClockOptions = {}): FakeClock {
  return new SteppedClock(options.now ?? 0, options.wallTime ?? FIRST_OF_2026);
}

interface Waiting {
  readonly dueAt: number;
  readonly fire: () => void;
}

class SteppedClock implements FakeClock {
  #now: number;
  #wallOffset: number;
  #advancing = false;
  /** In the order of their making. */
  readonly #timers = new Set<Waiting>();

  constructor(now: number, wallTime: number) {
    this.#now = now;
    this.#wallOffset = wallTime - now;
  }

  now(): number {
    return this.#now;
  }

  wallTime(): number {
    return this.#now + this.#wallOffset;
  }

  get pending(): number {
    return this.#timers.size;
  }

  setTimer(delayMs: number, fire: () => void, since: number = this.#now): Timer {
    if (Number.isNaN(delayMs)) throw new RangeError("fakeClock: a timer's delay is not a number");
    const timer = { dueAt: Math.max(this.#now, since + delayMs), fire };
    if (timer.dueAt !== Number.POSITIVE_INFINITY) this.#timers.add(timer);
    return { cancel: () => void this.#timers.delete(timer) };
  }

  async advance(ms: number): Promise<void> {
    if (!(ms >= 0 && Number.isFinite(ms))) throw new RangeError(`fakeClock: time cannot advance by ${ms} ms`);
    if (this.#advancing) throw new Error("fakeClock: advance() is under way already; await it first");
    this.#advancing = true;
    try {
      await this.#moveTo(this.#now + ms);
    } finally {
      this.#advancing = false;
    }
  }

  jumpWall(ms: number): void {
    this.#wallOffset += ms;
  }

  async #moveTo(end: number): Promise<void> {
    // One turn of the event loop runs everything that waits for a promise, however long the chain.
    await setImmediate();
    for (let timer = this.#next(end); timer; timer = this.#next(end)) {
      this.#now = timer.dueAt;
      this.#timers.delete(timer);
      timer.fire();
      await setImmediate();
    }
    this.#now = end;
  }

  /** The timer to fire next; of several that are due at once, the one that was made first. */
  #next(end: number): Waiting | undefined {
    let next: Waiting | undefined;
    for (const timer of this.#timers) {
      if (timer.dueAt <= end && (!next || timer.dueAt < next.dueAt)) next = timer;
    }
    return next;
  }
}
