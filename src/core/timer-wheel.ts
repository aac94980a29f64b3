import type { Timer } from "./clock.ts";

/**
 * How late a wheel's timer may be, in milliseconds: it waits for the end of the tick that its instant falls into, and
 * never fires before that instant.
 */
export const TICK_MS = 10;

/** How many ticks a wheel looks ahead: 10.24 s. What is due later is put off until then, as often as it takes. */
const SLOTS = 1_024;

/**
 * How many of the timers that were set last stand apart: most are taken back before as many others are set, and then
 * have never joined a ring, which is about half of what a timer costs.
 */
const APART = 32;

/** The one timer below a wheel. */
export interface Alarm {
  /** Wakes the wheel at an instant, at once if that has passed, instead of at any set before; holds the process until then. */
  set(at: number): void;
  /** Nothing waits: the alarm may still go off, yet no longer holds the process for long. */
  release(): void;
  /**
   * Something waits again.
   *
   * @returns false if the alarm that was set cannot be relied on.
   */
  hold(): boolean;
}

/**
 * A member of a ring; alone, it is a ring of its own. One class for timers and for the heads of their rings, made
 * without a base class and private fields, since it is made for every call.
 */
class WheelTimer implements Timer {
  next: WheelTimer = this;
  previous: WheelTimer = this;
  /** The tick at whose beginning the timer is due. */
  readonly tick: number;
  private readonly wheel: TimerWheel;
  private fire: (() => void) | undefined;

  constructor(wheel: TimerWheel, tick: number, fire?: () => void) {
    this.tick = tick;
    this.wheel = wheel;
    this.fire = fire;
  }

  /** Whether it waits, and is in no ring yet. */
  get isApart(): boolean {
    return this.fire !== undefined && this.next === this;
  }

  /** Joins the ring that `head` heads, as its last member. */
  join(head: WheelTimer): void {
    const last = head.previous;
    this.previous = last;
    this.next = head;
    last.next = this;
    head.previous = this;
  }

  /** Without effect on one that is in no ring, as most are. */
  leave(): void {
    if (this.next === this) return;
    this.previous.next = this.next;
    this.next.previous = this.previous;
    this.next = this;
    this.previous = this;
  }

  /** Lets go of all it has at once: whoever keeps the timer does not keep what it was to do. */
  cancel(): void {
    if (!this.fire) return;
    this.fire = undefined;
    this.leave();
    this.wheel.left();
  }

  run(): void {
    const fire = this.fire;
    this.cancel();
    fire?.();
  }
}

/**
 * Keeps timers of which nearly all are taken back, as deadlines are: making one and taking it back costs a few
 * pointers, since timers that are due in one tick share a ring (a timing wheel; Varghese and Lauck, SOSP 1987,
 * scheme 4), and join it only when they last. One alarm wakes it at the first tick that has a timer.
 *
 * Without time of its own: whoever owns the alarm says what time it is, in milliseconds that never go back while
 * something waits.
 */
export class TimerWheel {
  readonly #alarm: Alarm;
  readonly #slots = Array.from({ length: SLOTS }, () => new WheelTimer(this, 0));
  /** Timers that are due and have not fired yet. */
  readonly #due = new WheelTimer(this, 0);
  /** The timers that were set last, whatever became of them; before the first ones, some that wait for nothing. */
  readonly #apart = Array.from({ length: APART }, () => new WheelTimer(this, 0));
  /** Where the one stands that was set before all others of them. */
  #oldest = 0;
  #waiting = 0;
  /** The last tick whose timers are due. */
  #tick = 0;
  /** When the alarm goes off; Infinity if it does not. */
  #alarmTick = Number.POSITIVE_INFINITY;
  #advancing = false;

  constructor(alarm: Alarm) {
    this.#alarm = alarm;
  }

  /** How many timers wait. */
  get waiting(): number {
    return this.#waiting;
  }

  /**
   * Calls `fire` once, when `delayMs` have passed since an instant, and at most a tick more.
   *
   * @param since now, or not long ago: all that is known is that time has come as far.
   * @param delayMs any finite number of milliseconds.
   */
  set(since: number, delayMs: number, fire: () => void): Timer {
    if (this.#waiting === 0 && !this.#advancing) this.#resume(since);
    const tick = Math.max(Math.ceil((since + delayMs) / TICK_MS), this.#tick + 1);
    const timer = new WheelTimer(this, tick, fire);
    this.#setApart(timer);
    this.#waiting += 1;
    if (tick < this.#alarmTick && !this.#advancing) this.#setAlarm(tick);
    return timer;
  }

  /**
   * Fires everything that is due. What a timer throws is thrown on; those left fire as soon as the alarm, which is set
   * again in any case, goes off.
   */
  advance(now: number): void {
    this.#advancing = true;
    try {
      if (this.#waiting > 0) this.#collect(Math.floor(now / TICK_MS));
      for (let timer = this.#due.next; timer !== this.#due; timer = this.#due.next) timer.run();
    } finally {
      this.#advancing = false;
      this.#alarmTick = Number.POSITIVE_INFINITY;
      if (this.#waiting > 0) this.#setAlarm(this.#firstTick());
    }
  }

  /** @internal A timer left its ring: it fired, or was cancelled. */
  left(): void {
    this.#waiting -= 1;
    if (this.#waiting === 0 && !this.#advancing) this.#alarm.release();
  }

  /** Time went on unwatched while nothing waited. */
  #resume(now: number): void {
    this.#tick = Math.floor(now / TICK_MS);
    if (this.#alarmTick !== Number.POSITIVE_INFINITY && !this.#alarm.hold()) {
      this.#alarmTick = Number.POSITIVE_INFINITY;
    }
  }

  /** In place of the oldest, which joins its ring if it still waits. */
  #setApart(timer: WheelTimer): void {
    // The index is within bounds.
    const oldest = this.#apart[this.#oldest] as WheelTimer;
    if (oldest.isApart) this.#insert(oldest);
    this.#apart[this.#oldest] = timer;
    this.#oldest = (this.#oldest + 1) % APART;
  }

  /** Whatever stands apart and waits joins its ring, in the order in which it was set. */
  #gather(): void {
    const apart = [...this.#apart.slice(this.#oldest), ...this.#apart.slice(0, this.#oldest)];
    for (const timer of apart) if (timer.isApart) this.#insert(timer);
  }

  #insert(timer: WheelTimer): void {
    timer.join(this.#slot(Math.min(timer.tick, this.#tick + SLOTS - 1)));
  }

  #slot(tick: number): WheelTimer {
    // The index is within bounds, whatever the tick.
    return this.#slots[tick & (SLOTS - 1)] as WheelTimer;
  }

  /** Moves on to a tick, and what has become due on the way to those that are due. */
  #collect(until: number): void {
    this.#gather();
    while (this.#tick < until) {
      this.#tick += 1;
      const slot = this.#slot(this.#tick);
      for (let timer = slot.next; timer !== slot; timer = slot.next) {
        timer.leave();
        if (timer.tick <= this.#tick) timer.join(this.#due);
        else this.#insert(timer);
      }
    }
  }

  /** The first tick with a timer, or one that is to be put off. */
  #firstTick(): number {
    if (this.#due.next !== this.#due) return this.#tick;
    this.#gather();
    let tick = this.#tick + 1;
    for (let slot = this.#slot(tick); slot.next === slot; slot = this.#slot(tick)) tick += 1;
    return tick;
  }

  #setAlarm(tick: number): void {
    this.#alarmTick = Math.min(tick, this.#tick + SLOTS - 1);
    this.#alarm.set(this.#alarmTick * TICK_MS);
  }
}
