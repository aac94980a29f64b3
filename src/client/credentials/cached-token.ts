import { detached, inThisContext } from "../../core/call-context.ts";
import { checkOptions, isFunction, isObject, isPositive, type OptionCheck } from "../../core/check-options.ts";
import { type Clock, systemClock } from "../../core/clock.ts";
import { tell, warn } from "../../core/warning.ts";
import type { TokenSource } from "./bearer.ts";
import { shapeOf } from "./shape-of.ts";

/** A token as its issuer gives it. */
export interface IssuedToken {
  readonly token: string;
  /** When it ends, in milliseconds of wall time. */
  readonly expiresAt: number;
}

/** How a token is kept fresh. All times in milliseconds. */
export interface CachedTokenOptions {
  /** How long before its end it is fetched anew; at most half of its life. Default: 60,000. */
  readonly refreshBeforeMs?: number | undefined;
  /**
   * How long after a fetch that failed the next one comes, at the earliest; until then calls that need one fail as that
   * did. And how long after one that was refused another is dropped: a server that refuses all of them must not have
   * their issuer asked for each call. Default: 1,000.
   */
  readonly retryMs?: number | undefined;
  /** How long fetching it may take. Default: 10,000. */
  readonly timeoutMs?: number | undefined;
  /** Is told when a refresh failed while the old token still held. Default: a warning of the process. */
  readonly onRefreshError?: ((error: unknown) => void) | undefined;
  /** Where time comes from. Default: this machine. */
  readonly clock?: Clock | undefined;
}

const OPTIONS: Readonly<Record<keyof CachedTokenOptions, OptionCheck>> = {
  refreshBeforeMs: isPositive,
  retryMs: isPositive,
  timeoutMs: isPositive,
  onRefreshError: isFunction,
  clock: isObject,
};

/**
 * A token that is fetched once for all calls that need it, and anew before it ends; calls go on with the old one
 * meanwhile, also when that fails, until its end. A token that a server refused is not given again.
 *
 * It is fetched outside of any call, in the async context in which `cachedToken` was called: the session or trace of the
 * call that happens to need it first is not that of the others.
 *
 * @param fetch gets a token. Its signal aborts when that takes too long, and not when one of those who wait leaves.
 * @throws TypeError that lists everything that is wrong with the options.
 */
export function cachedToken(
  fetch: (signal: AbortSignal) => Promise<IssuedToken>,
  options: CachedTokenOptions = {},
): TokenSource {
  const problems = [
    ...(typeof fetch === "function" ? [] : ["the first argument must be a function that fetches a token"]),
    ...checkOptions(options, OPTIONS),
  ];
  if (problems.length > 0) throw new TypeError(`cachedToken: ${problems.join("; ")}`);
  return new CachedToken(fetch, options);
}

/** Whether it is what `cachedToken` gives: the same token for all calls. */
export function isCachedToken(source: unknown): boolean {
  return source instanceof CachedToken;
}

/** A token with when it is to be fetched anew, in wall time. */
interface Held extends IssuedToken {
  readonly refreshAt: number;
}

class CachedToken implements TokenSource {
  readonly #fetch: (signal: AbortSignal) => Promise<IssuedToken>;
  readonly #clock: Clock;
  readonly #refreshBeforeMs: number;
  readonly #retryMs: number;
  readonly #timeoutMs: number;
  readonly #onRefreshError: (error: unknown) => void;
  /** Runs what is done for all who wait, so not as a part of the call that happens to be first, nor in its context. */
  readonly #forAll = detached(inThisContext);
  #held: Held | undefined;
  #fetching: Promise<Held> | undefined;
  /** What a fetch failed with last, and when, on the monotonic clock. */
  #failure: { readonly error: unknown; readonly at: number } | undefined;
  /** When a token was dropped last, on the monotonic clock. */
  #droppedAt = Number.NEGATIVE_INFINITY;

  constructor(fetch: (signal: AbortSignal) => Promise<IssuedToken>, options: CachedTokenOptions) {
    this.#fetch = fetch;
    this.#clock = options.clock ?? systemClock;
    this.#refreshBeforeMs = options.refreshBeforeMs ?? 60_000;
    this.#retryMs = options.retryMs ?? 1_000;
    this.#timeoutMs = options.timeoutMs ?? 10_000;
    this.#onRefreshError = options.onRefreshError ?? warnOfRefresh;
  }

  token(): string | Promise<string> {
    const now = this.#clock.wallTime();
    const held = this.#held;
    if (!held || now >= held.expiresAt) return this.#await();
    if (now >= held.refreshAt) this.#refresh();
    return held.token;
  }

  #await(): Promise<string> {
    if (this.#failure && this.#isRecent(this.#failure.at)) return Promise.reject(this.#failure.error);
    return this.#fetchOnce().then(({ token }) => token);
  }

  #isRecent(at: number): boolean {
    return this.#clock.now() - at < this.#retryMs;
  }

  invalidate(token: string): void {
    // A token that came meanwhile is not the one that was refused.
    if (this.#held?.token !== token || this.#isRecent(this.#droppedAt)) return;
    this.#held = undefined;
    this.#droppedAt = this.#clock.now();
  }

  #refresh(): void {
    if (this.#fetching || (this.#failure && this.#isRecent(this.#failure.at))) return;
    this.#fetchOnce().catch((error: unknown) =>
      this.#forAll(() => tell("onRefreshError threw", () => this.#onRefreshError(error))),
    );
  }

  #fetchOnce(): Promise<Held> {
    this.#fetching ??= this.#fetchNow().finally(() => {
      this.#fetching = undefined;
    });
    return this.#fetching;
  }

  async #fetchNow(): Promise<Held> {
    const controller = new AbortController();
    const late = Promise.withResolvers<never>();
    const timer = this.#clock.setTimer(this.#timeoutMs, () => {
      const error = new Error(`no token came in ${this.#timeoutMs} ms`);
      controller.abort(error);
      late.reject(error);
    });
    try {
      const fetched = this.#forAll(async () => this.#fetch(controller.signal));
      const issued = await Promise.race([fetched, late.promise]);
      this.#held = this.#hold(issued);
      this.#failure = undefined;
      return this.#held;
    } catch (error) {
      this.#failure = { error, at: this.#clock.now() };
      throw error;
    } finally {
      timer.cancel();
    }
  }

  /** @throws TypeError for what is no token that holds. */
  #hold(issued: IssuedToken): Held {
    const now = this.#clock.wallTime();
    const problems = issuedProblems(issued, now);
    if (problems.length > 0) throw new TypeError(`cachedToken: ${problems.join("; ")}`);
    const { token, expiresAt } = issued;
    const refreshAt = Math.max(expiresAt - this.#refreshBeforeMs, now + (expiresAt - now) / 2);
    return { token, expiresAt, refreshAt };
  }
}

/** All that is wrong with what was fetched; the token itself, which is secret, is not among it. */
function issuedProblems(issued: unknown, now: number): string[] {
  const { token, expiresAt } = Object(issued) as Partial<Record<keyof IssuedToken, unknown>>;
  if (token === undefined) return [`what was fetched must be { token, expiresAt }; it is ${shapeOf(issued)}`];
  const ends = expiryProblem(expiresAt, now);
  return [
    ...(typeof token === "string" ? [] : [`token must be a text; it is ${shapeOf(token)}`]),
    ...(ends ? [`expiresAt ${ends}`] : []),
  ];
}

/** September 2001: what is less is no time at which a token ends. */
const LEAST_MS = 1e12;

function expiryProblem(expiresAt: unknown, now: number): string | undefined {
  const unit = "in milliseconds since 1970";
  if (typeof expiresAt !== "number" || Number.isNaN(expiresAt)) {
    return `must be when the token ends, ${unit}; it is ${typeof expiresAt === "number" ? expiresAt : shapeOf(expiresAt)}`;
  }
  if (expiresAt > now) return undefined;
  if (expiresAt < LEAST_MS) {
    const found = expiresAt < LEAST_MS / 1_000 ? "how long the token lives" : "in seconds";
    return `must be ${unit}; ${expiresAt} is ${found}`;
  }
  return `must be in the future: the token ended ${now - expiresAt} ms ago`;
}

function warnOfRefresh(error: unknown): void {
  warn("a token could not be refreshed", error);
}
