import { AsyncResource } from "node:async_hooks";
import { TimerWheel } from "./timer-wheel.ts";

/** A timer that can be taken back. */
export interface Timer {
  /** Takes the timer back; without effect once it fired. */
  cancel(): void;
}

/**
 * Where time comes from. Everything that waits or measures takes a clock as a parameter, so that tests and the
 * simulator can own time.
 */
export interface Clock {
  /** Milliseconds that only ever grow, from an arbitrary start. For durations and deadlines. */
  now(): number;
  /** Milliseconds since 1970, UTC. It may jump; only for what leaves the process. */
  wallTime(): number;
  /**
   * Calls `fire` once, when `delayMs` have passed. Infinity never fires.
   *
   * `fire` runs outside of any call: `currentCall()` is undefined there, and so is every other async context of the
   * caller's. What goes on with a call after a wait waits for a promise, such as `sleep`'s, which brings its context
   * along.
   *
   * @param since when the delay began, if that has been looked at already: now, or a little before.
   */
  setTimer(delayMs: number, fire: () => void, since?: number): Timer;
  /**
   * For how many milliseconds the process has stood still in all, as far as it was looked at: its event loop was
   * blocked, or the machine slept. What then seems to have taken long has not. A clock without it never stands still.
   *
   * @param at until when: now, which is looked at unless it has been. What began then, or later, has not stood still
   *   before it began.
   */
  stalledMs?(at?: number): number;
  /**
   * An instant at most `RECENT_MS` before now, and further back only by what the process has stood still since: for
   * whoever needs no more, at a fraction of what `now` costs. A clock without it is asked `now`.
   */
  recent?(): number;
}

/** How far back `Clock.recent` may lie, in milliseconds. */
export const RECENT_MS = 30;

/** What waits shorter than this, in milliseconds, has a timer of Node's own, so that hedges and backoffs keep their time. */
export const SHORT_DELAY_MS = 100;

const { performance: ownTimeline, setTimeout: ownSetTimeout } = globalThis;

/**
 * Node's global is a getter, which every look at the clock would pay for. Where tests have put other timers in
 * place of its own, the time is theirs too.
 */
function now(): number {
  return setTimeout === ownSetTimeout ? ownTimeline.now() : performance.now();
}

const NEVER: Timer = { cancel() {} };

/** The async context in which this module was loaded: that of no call. */
const outside = new AsyncResource("bowline.clock");

/** Node's timer, which calls back outside of any call. */
function startTimer(fire: () => void, delayMs: number): ReturnType<typeof setTimeout> {
  return outside.runInAsyncScope(setTimeout, undefined, fire, Math.max(0, Math.ceil(delayMs)));
}

/** Node's timers may fire up to a millisecond early by the monotonic clock; this one looks, and waits for the rest. */
class ShortTimer implements Timer {
  readonly #dueAt: number;
  #fire: (() => void) | undefined;
  #handle: ReturnType<typeof setTimeout>;

  constructor(delayMs: number, fire: () => void, since: number) {
    this.#dueAt = since + delayMs;
    this.#fire = fire;
    this.#handle = startTimer(() => this.#wake(), this.#dueAt - now());
  }

  cancel(): void {
    clearTimeout(this.#handle);
    this.#fire = undefined;
  }

  #wake(): void {
    const missingMs = this.#dueAt - now();
    if (missingMs > 0) {
      this.#handle = startTimer(() => this.#wake(), missingMs);
      return;
    }
    const fire = this.#fire;
    this.#fire = undefined;
    fire?.();
  }
}

/**
 * For how long the process is held once nothing waits any more, in milliseconds. Where one call comes after the other,
 * letting go of it and holding it anew each time would cost as much as all the rest of a timer.
 */
const LINGER_MS = 20;

let alarm: ReturnType<typeof setTimeout> | undefined;
/** What the alarm was set with: tests put another in its place, and their timers go with it. */
let startedBy: typeof setTimeout | undefined;
/** Whether the process is about to be let go, unless something waits then. */
let lingering = false;

/** Deadlines: nearly all of them are taken back, for which Node's own timers cost about as much as a small call. */
const wheel: TimerWheel = new TimerWheel({
  set: (at) => {
    if (startedBy === setTimeout) clearTimeout(alarm);
    else lingering = false;
    startedBy = setTimeout;
    alarm = startTimer(advance, at - now());
  },
  release: () => {
    if (lingering) return;
    lingering = true;
    startTimer(letGo, LINGER_MS);
  },
  hold: () => {
    if (startedBy !== setTimeout) return false;
    if (!lingering) alarm?.ref();
    return true;
  },
});

function advance(): void {
  wheel.advance(now());
}

function letGo(): void {
  lingering = false;
  if (wheel.waiting === 0) alarm?.unref();
}

function setTimer(delayMs: number, fire: () => void, since: number = now()): Timer {
  if (delayMs === Number.POSITIVE_INFINITY) return NEVER;
  return delayMs >= SHORT_DELAY_MS ? wheel.set(since, delayMs, fire) : new ShortTimer(delayMs, fire, since);
}

/** How often it is looked whether the process stands still, in milliseconds. */
const BEAT_MS = 20;
/** A beat that comes later than this, in milliseconds, is no jitter. */
const LATE_MS = RECENT_MS - BEAT_MS;
/** After so many beats on which nobody has asked, it is no longer looked. */
const IDLE_BEATS = 500;

let beat: ReturnType<typeof setInterval> | undefined;
/** What beats: tests put another in its place, and take it away again. */
let beatenBy: typeof setInterval | undefined;
let beatAt = 0;
let idleBeats = 0;
let stalled = 0;

function onBeat(): void {
  const at = now();
  noticeLateness(at);
  beatAt = at;
  idleBeats += 1;
  if (idleBeats < IDLE_BEATS) return;
  clearInterval(beat);
  beat = undefined;
}

/** Until the beat comes, what begins right after a standstill would look as if it had begun before. */
function noticeLateness(at: number): void {
  const lateMs = at - beatAt - BEAT_MS;
  if (lateMs <= LATE_MS) return;
  stalled += lateMs;
  // The beat is overdue: from here on all of the time until it comes is standstill.
  beatAt = at - BEAT_MS;
}

/** While nobody asks there is no timer. */
function keepBeating(): void {
  idleBeats = 0;
  if (!beat || beatenBy !== setInterval) startBeating();
}

function startBeating(): void {
  beatenBy = setInterval;
  beatAt = now();
  beat = outside.runInAsyncScope(setInterval, undefined, onBeat, BEAT_MS);
  beat.unref();
}

function stalledMs(at: number = now()): number {
  keepBeating();
  noticeLateness(at);
  return stalled;
}

function recent(): number {
  keepBeating();
  return beatAt;
}

/** The machine's own clock. Its timers never fire early; those of 100 ms and more up to 10 ms late. */
export const systemClock: Clock = {
  now,
  wallTime: () => Date.now(),
  setTimer,
  stalledMs,
  recent,
};

/**
 * Waits `delayMs` on the clock.
 *
 * @throws the signal's reason as soon as it aborts; the timer is taken back.
 */
export function sleep(clock: Clock, delayMs: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    if (signal?.aborted) return reject(signal.reason);
    const onAbort = () => {
      timer.cancel();
      reject(signal?.reason);
    };
    const timer = clock.setTimer(delayMs, () => {
      signal?.removeEventListener("abort", onAbort);
      resolve();
    });
    signal?.addEventListener("abort", onAbort, { once: true });
  });
}
