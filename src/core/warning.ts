import { systemClock } from "./clock.ts";

/** For how long warnings of one kind are left out after one that was told. */
const QUIET_MS = 60_000;

/** Which of many warnings are told: of each kind the first, and one a minute after it. */
export class RareWarnings {
  readonly #kinds = new Map<string, { toldAt: number; leftOut: number }>();

  /**
   * @param now on the monotonic clock.
   * @returns how many of the kind were left out since the last that was told; undefined if this one is to be, too.
   */
  take(kind: string, now: number): number | undefined {
    const known = this.#kinds.get(kind);
    if (known && now - known.toldAt < QUIET_MS) {
      known.leftOut += 1;
      return undefined;
    }
    this.#kinds.set(kind, { toldAt: now, leftOut: 0 });
    return known?.leftOut ?? 0;
  }

  /** For tests, each of which is to see its own. */
  clear(): void {
    this.#kinds.clear();
  }
}

/** Those of this process. */
export const rareWarnings: RareWarnings = new RareWarnings();

/**
 * Reports an error that nobody waits for, such as one of an observer: as a warning of the process, so that it is
 * neither lost nor fatal.
 *
 * @param what where it came from: "an observer threw".
 */
export function warn(what: string, error: unknown): void {
  process.emitWarning(`bowline: ${what}: ${textOf(error)}`);
}

/**
 * The same for what may go wrong with each call or message, which would flood a log: in full the first time, and then
 * once a minute at most, with how many were left out in between.
 *
 * @param what which of them are of one kind, besides.
 */
export function warnRarely(what: string, error: unknown): void {
  const leftOut = rareWarnings.take(what, systemClock.now());
  if (leftOut === undefined) return;
  warn(leftOut === 0 ? what : `${what} (and ${leftOut} times more since this was last told)`, error);
}

/**
 * Calls what a user gave to be told of something: neither what it throws nor what it rejects with reaches the call
 * that it is told of. It is warned of rarely, as with `warnRarely`.
 *
 * @param what what to say in the warning, such as "an observer threw".
 */
export function tell(what: string, callback: () => unknown): void {
  try {
    const returned = callback();
    if (returned instanceof Promise) returned.catch((error: unknown) => warnRarely(what, error));
  } catch (error) {
    warnRarely(what, error);
  }
}

function textOf(error: unknown): string {
  try {
    return String(error instanceof Error ? (error.stack ?? error.message) : error);
  } catch {
    return "something that has no text";
  }
}
