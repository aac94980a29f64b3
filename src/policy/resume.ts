import { type Cursor, isAtOrBefore, sameCursor } from "../core/cursor.ts";
import type { Random } from "../core/random.ts";
import type { StatusCode } from "../core/status.ts";
import { Status } from "../core/status.ts";
import { Backoff, type BackoffOptions } from "./backoff.ts";

/** When a broken stream is reopened. */
export interface ResumeOptions extends BackoffOptions {
  /** Statuses after which it is. */
  readonly codes: ReadonlySet<StatusCode>;
  /**
   * How often in a row it may break without a message in between. A heartbeat is none, unless the stream has stood for
   * `maxBackoffMs` by then.
   */
  readonly maxFailures: number;
  /** Whether a request without a position begins at the first message, and not now. */
  readonly fromStart: boolean;
}

/** Where a stream begins. */
export interface ResumeStart {
  /** What the request says; undefined if it says no position. */
  readonly cursor: Cursor | undefined;
  /** Whether positions have an order; otherwise they are compared for equality alone. */
  readonly ordered: boolean;
  /** How many messages the request asks for; Infinity for all. */
  readonly limit: number;
}

/** What the machine looks at when a stream broke. */
export interface BrokenStream {
  readonly code: StatusCode;
  /**
   * Whether nothing can have been missed: the request never left, or the server answered with trailers alone
   * (rule S5).
   */
  readonly unopened: boolean;
  /** Opening it again would meet the same again, or the call itself is over. */
  readonly final: boolean;
  /** The server left in good order. */
  readonly drained: boolean;
  /** The server's word on when to try again: after so many milliseconds; negative: not at all. */
  readonly pushbackMs: number | undefined;
  /** The client itself kept it from its target: until then, if that is known, as with a breaker that is open. */
  readonly rejected: { readonly retryAfterMs: number | undefined } | undefined;
}

/**
 * Why a broken stream is not reopened:
 *
 * - `NOT_RESUMABLE`: the policy does not resume after this status;
 * - `CURSOR_EXPIRED`: the server no longer has the position (rule S3);
 * - `CURSOR_UNKNOWN`: it broke before its position was known (rule S5);
 * - `PUSHBACK`: the server said not to;
 * - `MAX_FAILURES`: it broke too often in a row;
 * - `DEADLINE`: the wait does not fit what is left of the call.
 */
export type ResumeStop =
  | "NOT_RESUMABLE"
  | "CURSOR_EXPIRED"
  | "CURSOR_UNKNOWN"
  | "PUSHBACK"
  | "MAX_FAILURES"
  | "DEADLINE";

/** What to do with a stream that broke. */
export type ResumeDecision =
  | {
      readonly action: "reopen";
      readonly delayMs: number;
      readonly because: "drain" | "backoff" | "pushback" | "rejection";
    }
  /** All that was asked for has been delivered. */
  | { readonly action: "end" }
  | { readonly action: "fail"; readonly stop: ResumeStop };

/** What to do with a message; `surplus` is one beyond what the request asked for. */
export type Verdict = "deliver" | "marker" | "duplicate" | "surplus";

/** After how long a stream that the client itself keeps from its target asks again, in milliseconds; spread. */
const ASK_AGAIN_MS = 1_000;

/** One stream as its reader sees it, over all its attempts (rules S1 to S5). */
export class Resume {
  readonly #options: ResumeOptions;
  readonly #ordered: boolean;
  #limit: number;
  readonly #backoff: Backoff;
  readonly #random: Random;
  #cursor: Cursor | undefined;
  #delivered = 0;
  /** In a row, without a message in between. */
  #failures = 0;
  #drains = 0;
  #rejections = 0;
  /** Whether the attempt has given nothing yet. */
  #fresh = true;

  constructor(options: ResumeOptions, { cursor, ordered, limit }: ResumeStart, random: Random) {
    this.#options = options;
    this.#cursor = cursor;
    this.#ordered = ordered;
    this.#limit = limit;
    this.#backoff = new Backoff(options, random);
    this.#random = random;
  }

  /** The last position that was delivered, or that a marker told; undefined if none is known yet. */
  get cursor(): Cursor | undefined {
    return this.#cursor;
  }

  /** How many messages are still wanted. */
  get remaining(): number {
    return this.#limit - this.#delivered;
  }

  /** How often in a row it broke without a message in between. */
  get failures(): number {
    return this.#failures;
  }

  /** Whether that is too often: then the application is not asked for another request either. */
  get exhausted(): boolean {
    return this.#failures > this.#options.maxFailures;
  }

  /** The server said where the stream begins (rule S5). It has no say once a position is known. */
  pinned(cursor: Cursor): void {
    this.#cursor ??= cursor;
  }

  /**
   * A message came; its position if it has one.
   *
   * @param standingMs of a marker: for how long the attempt has stood.
   */
  message(cursor: Cursor | undefined, marker: boolean, standingMs = 0): Verdict {
    const isNew = cursor === undefined || !this.#isPassed(cursor);
    if (!isNew && !marker) return "duplicate";
    if (!marker && this.remaining <= 0) return "surplus";
    const tellsNew = !marker || (cursor !== undefined && isNew);
    // Every attempt may come as far as a heartbeat and no further; but a stream that is quiet for days may break often.
    if (tellsNew || standingMs >= this.#options.maxBackoffMs) this.#alive();
    if (cursor !== undefined && isNew) this.#cursor = cursor;
    // A marker that tells nothing new may stand before the message that the server sends again.
    if (tellsNew) this.#fresh = false;
    if (marker) return "marker";
    this.#delivered += 1;
    return "deliver";
  }

  /** The stream broke. @param remainingMs until the call's deadline. */
  broke(broken: BrokenStream, remainingMs: number): ResumeDecision {
    this.#fresh = true;
    if (this.remaining <= 0) return { action: "end" };
    const stop = this.#stopAt(broken);
    if (stop) return { action: "fail", stop };
    const wait = this.#wait(broken);
    if (!wait) return { action: "fail", stop: "MAX_FAILURES" };
    return wait.delayMs < remainingMs ? { action: "reopen", ...wait } : { action: "fail", stop: "DEADLINE" };
  }

  /**
   * The application has answered an expired position with another request.
   *
   * @returns how long to wait before it is sent, in milliseconds: nothing, unless its last one had expired too.
   */
  restart({ cursor, limit }: Pick<ResumeStart, "cursor" | "limit">): number {
    this.#cursor = cursor;
    this.#limit = limit;
    this.#delivered = 0;
    return this.#failures > 1 ? this.#backoff.next() : 0;
  }

  #stopAt({ code, final, unopened, drained, pushbackMs, rejected }: BrokenStream): ResumeStop | undefined {
    if (final) return "NOT_RESUMABLE";
    if (rejected) return undefined;
    if (code === Status.OUT_OF_RANGE && this.#cursor !== undefined) {
      this.#failures += 1;
      return "CURSOR_EXPIRED";
    }
    if (!drained && !this.#options.codes.has(code)) return "NOT_RESUMABLE";
    if (this.#cursor === undefined && !this.#options.fromStart && !unopened) return "CURSOR_UNKNOWN";
    return pushbackMs !== undefined && pushbackMs < 0 ? "PUSHBACK" : undefined;
  }

  /** @returns undefined if it broke too often. */
  #wait({ drained, pushbackMs, rejected }: BrokenStream) {
    if (rejected) return { delayMs: this.#untilAsked(rejected.retryAfterMs), because: "rejection" } as const;
    this.#rejections = 0;
    // Once: a target that does nothing but drain is a failing one.
    if (drained) this.#drains += 1;
    if (drained && this.#drains === 1) return { delayMs: 0, because: "drain" } as const;
    this.#failures += 1;
    if (this.exhausted) return undefined;
    if (pushbackMs === undefined) return { delayMs: this.#backoff.next(), because: "backoff" } as const;
    this.#backoff.reset();
    return { delayMs: pushbackMs, because: "pushback" } as const;
  }

  /**
   * Until a breaker's next trial. From then on it may close at any time, or a place become free, and nobody is told: it
   * is asked again soon.
   */
  #untilAsked(retryAfterMs: number | undefined): number {
    this.#rejections += 1;
    const soonMs = ASK_AGAIN_MS * (0.5 + 0.5 * this.#random());
    return retryAfterMs === undefined || this.#rejections > 1 ? soonMs : retryAfterMs;
  }

  /** The stream has come further, or has stood for long: what fails next begins to count anew (rule S4). */
  #alive(): void {
    this.#failures = 0;
    this.#drains = 0;
    this.#rejections = 0;
    this.#backoff.reset();
  }

  /** Whether a position is none that comes after what was delivered. */
  #isPassed(cursor: Cursor): boolean {
    if (this.#cursor === undefined) return false;
    return this.#ordered ? isAtOrBefore(cursor, this.#cursor) : this.#fresh && sameCursor(cursor, this.#cursor);
  }
}
