import type { Timer } from "../../src/core/clock.ts";
import { type Alarm, TimerWheel } from "../../src/core/timer-wheel.ts";

/** A timer wheel whose time, and whose alarm's lateness, a test owns. */
export class SteppedWheel implements Alarm {
  readonly wheel: TimerWheel = new TimerWheel(this);
  /** What timers threw, in order. */
  readonly thrown: unknown[] = [];
  now: number;
  /** Whether the alarm holds the process. */
  held = false;
  /** Whether the alarm can no longer be relied on. */
  lost = false;
  /** How often the alarm was set, and how often it went off. */
  readonly count = { set: 0, wentOff: 0 };
  #alarmAt = Number.POSITIVE_INFINITY;

  constructor(now = 0) {
    this.now = now;
  }

  /** Milliseconds until the alarm goes off; Infinity if it does not. */
  get alarmIn(): number {
    return this.#alarmAt - this.now;
  }

  set(at: number): void {
    this.count.set += 1;
    this.#alarmAt = Math.max(this.now, at);
    this.held = true;
  }

  hold(): boolean {
    if (this.#alarmAt === Number.POSITIVE_INFINITY) throw new Error("there is no alarm to hold");
    this.held = !this.lost;
    return this.held;
  }

  release(): void {
    this.held = false;
  }

  setTimer(delayMs: number, fire: () => void, since: number = this.now): Timer {
    return this.wheel.set(since, delayMs, fire);
  }

  /** Moves time on; the alarm goes off on the way, each time `lateMs` late. */
  advance(ms: number, lateMs = 0): void {
    const end = this.now + ms;
    while (this.#alarmAt + lateMs <= end) {
      this.now = Math.max(this.now, this.#alarmAt + lateMs);
      this.#alarmAt = Number.POSITIVE_INFINITY;
      this.held = false;
      this.count.wentOff += 1;
      this.#wake();
    }
    this.now = end;
  }

  #wake(): void {
    try {
      this.wheel.advance(this.now);
    } catch (error) {
      this.thrown.push(error);
    }
  }
}
