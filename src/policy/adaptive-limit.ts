import type { Clock } from "../core/clock.ts";
import { Gradient2, type Gradient2Options } from "./gradient2.ts";

/** How a limit on calls under way follows the target's latency. */
export type AdaptiveLimitOptions = Gradient2Options;

/** Leave to make one attempt, to be given back once with its outcome; whatever comes after that does nothing. */
export interface LimitPermit {
  /**
   * @param excusedMs for how long of its time the process stood still, which makes nothing slow.
   * @param now if that has been looked at already.
   */
  success(excusedMs?: number, now?: number): void;
  /** The target turned it away: it has too much to do. */
  dropped(): void;
  /** Its time was over. That says nothing if the target usually takes longer than it had. */
  timedOut(excusedMs?: number): void;
  /** It says nothing about the target's load. */
  ignore(): void;
}

/** What a limit stands at. */
export interface AdaptiveLimitSnapshot {
  /** How many may be under way. */
  readonly limit: number;
  readonly inFlight: number;
  /** How long calls usually take, in milliseconds; 0 as long as nobody knows. */
  readonly longMs: number;
}

type Outcome = "success" | "dropped" | "ignored";

/** How long a window is at least, and how many outcomes it has at least (Netflix's WindowedLimit). */
const WINDOW_MS = 1_000;
const WINDOW_CALLS = 10;
/** A window that has not come to so many in this time is forgotten (rule B2): so few need no limit. */
const STALE_MS = 60_000;
/** What takes less was not answered by the target. */
const LEAST_MS = 0.1;

let settle: (limit: AdaptiveLimit, permit: Permit, outcome: Outcome, tookMs: number) => void;

class Permit implements LimitPermit {
  /** How many were under way when it was given, itself included. */
  readonly inFlight: number;
  readonly #limit: AdaptiveLimit;
  readonly #clock: Pick<Clock, "now">;
  readonly #since: number;
  settled = false;

  constructor(limit: AdaptiveLimit, clock: Pick<Clock, "now">, inFlight: number) {
    this.#limit = limit;
    this.#clock = clock;
    this.#since = clock.now();
    this.inFlight = inFlight;
  }

  success(excusedMs = 0, now = this.#clock.now()): void {
    settle(this.#limit, this, "success", now - this.#since - excusedMs);
  }

  dropped(): void {
    settle(this.#limit, this, "dropped", 0);
  }

  timedOut(excusedMs = 0): void {
    const tookMs = this.#clock.now() - this.#since - excusedMs;
    settle(this.#limit, this, tookMs < this.#limit.snapshot().longMs ? "ignored" : "dropped", tookMs);
  }

  ignore(): void {
    settle(this.#limit, this, "ignored", 0);
  }
}

/** The outcomes since the limit was last looked at. */
class Window {
  readonly since: number;
  #successes = 0;
  #tookMs = 0;
  #drops = 0;
  #inFlight = 0;

  constructor(since: number) {
    this.since = since;
  }

  get calls(): number {
    return this.#successes + this.#drops;
  }

  add(outcome: Outcome, tookMs: number, inFlight: number): void {
    this.#inFlight = Math.max(this.#inFlight, inFlight);
    if (outcome === "dropped") {
      this.#drops += 1;
      return;
    }
    this.#successes += 1;
    this.#tookMs += tookMs;
  }

  get sample() {
    const shortMs = this.#successes === 0 ? undefined : this.#tookMs / this.#successes;
    return { shortMs, inFlight: this.#inFlight, droppedRatio: this.#drops / this.calls };
  }
}

/**
 * A bound on the calls that are under way at a target, which follows how long they take (`Gradient2`), in windows of at
 * least a second and ten calls. It makes no call wait; who does, in a bulkhead's queue, can have itself told when there
 * is room.
 */
export class AdaptiveLimit {
  readonly #gradient: Gradient2;
  readonly #clock: Pick<Clock, "now">;
  readonly #onChange: ((from: number, to: number) => void) | undefined;
  readonly #waiting = new Set<() => void>();
  #inFlight = 0;
  #window: Window | undefined;

  static {
    settle = (limit, permit, outcome, tookMs) => limit.#settle(permit, outcome, tookMs);
  }

  /** @param onChange is told after each change of the limit. */
  constructor(options: AdaptiveLimitOptions, clock: Pick<Clock, "now">, onChange?: (from: number, to: number) => void) {
    this.#gradient = new Gradient2(options);
    this.#clock = clock;
    this.#onChange = onChange;
  }

  /** Goes by other options from here on: what it has learned stays, and so does what is under way. */
  adjust(options: AdaptiveLimitOptions): void {
    const from = this.#gradient.limit;
    this.#gradient.adjust(options);
    const to = this.#gradient.limit;
    if (from !== to) this.#onChange?.(from, to);
    this.#tellRoom();
  }

  /** Leave to make an attempt now; undefined if as many as may are under way. */
  tryAcquire(): LimitPermit | undefined {
    if (!this.#hasRoom) return undefined;
    this.#inFlight += 1;
    return new Permit(this, this.#clock, this.#inFlight);
  }

  /** Calls back once, when there is room; those that wait are told in their order. */
  whenRoom(callback: () => void): void {
    this.#waiting.add(callback);
  }

  snapshot(): AdaptiveLimitSnapshot {
    return { limit: this.#gradient.limit, inFlight: this.#inFlight, longMs: this.#gradient.longMs };
  }

  get #hasRoom(): boolean {
    return this.#inFlight < this.#gradient.limit;
  }

  #settle(permit: Permit, outcome: Outcome, tookMs: number): void {
    if (permit.settled) return;
    permit.settled = true;
    this.#inFlight -= 1;
    const counts = outcome === "dropped" || (outcome === "success" && tookMs >= LEAST_MS);
    if (counts) this.#count(outcome, tookMs, permit.inFlight);
    this.#tellRoom();
  }

  #tellRoom(): void {
    // One that is told may ask to be told again, behind the others.
    for (const callback of this.#waiting) {
      if (!this.#hasRoom) return;
      this.#waiting.delete(callback);
      callback();
    }
  }

  #count(outcome: Outcome, tookMs: number, inFlight: number): void {
    const now = this.#clock.now();
    const last = this.#window;
    const window = !last || now - last.since >= STALE_MS ? new Window(now) : last;
    this.#window = window;
    window.add(outcome, tookMs, inFlight);
    if (now - window.since < WINDOW_MS || window.calls < WINDOW_CALLS) return;
    this.#window = undefined;
    const from = this.#gradient.limit;
    this.#gradient.update(window.sample);
    const to = this.#gradient.limit;
    if (from !== to) this.#onChange?.(from, to);
  }
}
