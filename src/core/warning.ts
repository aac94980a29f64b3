import { systemClock } from "./clock.ts";

/** For how long warnings of one fault are left out after one that was told. */
const QUIET_MS = 60_000;

/** How many faults are told apart; it is code that makes them, of which there is no end only where it is generated. */
const MOST_FAULTS = 1_000;

/** What of an error's name and place is kept. */
const MOST_FAULT_CHARS = 500;

/** Which of many warnings are told: of each fault the first, and one a minute after it. */
export class RareWarnings {
  readonly #kinds = new Map<string, { toldAt: number; leftOut: number }>();

  /**
   * @param what where it came from.
   * @param fault what it is told apart by from others that came from there; beyond 1,000 faults, new ones are not.
   * @param now on the monotonic clock.
   * @returns how many of the fault were left out since the last that was told; undefined if this one is to be, too.
   */
  take(what: string, fault: string, now: number): number | undefined {
    const own = `${what}\n${fault}`;
    const kind = this.#kinds.size < MOST_FAULTS || this.#kinds.has(own) ? own : what;
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
 * The same for what may go wrong with each call or message, which would flood a log: of each fault in full the first
 * time, and then once a minute at most, with how many were left out in between. Errors are of one fault if they have
 * the same name and were made at the same place.
 *
 * @param what where it came from: faults of another place are others.
 */
export function warnRarely(what: string, error: unknown): void {
  const leftOut = rareWarnings.take(what, faultOf(error), systemClock.now());
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

/** An error's name and where it was made: what is cheap to look at, also in a flood. */
function faultOf(error: unknown): string {
  try {
    if (!(error instanceof Error)) return "";
    return `${error.name}${placeOf(String(error.stack), error.message)}`.slice(0, MOST_FAULT_CHARS);
  } catch {
    return "";
  }
}

/** The first line of a stack, below its message, which may quote another stack; empty if there is none. */
function placeOf(stack: string, message: string): string {
  const from = stack.indexOf(FRAME, Math.max(0, stack.indexOf(message)) + message.length);
  if (from < 0) return "";
  const to = stack.indexOf("\n", from + 1);
  return stack.slice(from, to < 0 ? undefined : to);
}

/** How V8 begins a line of a stack. */
const FRAME = "\n    at ";
