import { hash } from "node:crypto";
import type { Clock } from "../core/clock.ts";

interface Remembered<T> {
  readonly value: T;
  /** On the monotonic clock. */
  readonly until: number;
  /** In wall time, as tokens end. */
  readonly endsAt: number;
}

/** Tokens whose signatures were found good, by their hashes: a memory that is looked into has no tokens. */
export class VerifiedTokens<T> {
  readonly #remembered = new Map<string, Remembered<T>>();
  readonly #most: number;
  readonly #forMs: number;
  readonly #clock: Clock;

  constructor(most: number, forMs: number, clock: Clock) {
    this.#most = most;
    this.#forMs = forMs;
    this.#clock = clock;
  }

  /** What was remembered of a token that has not ended. */
  get(token: string): T | undefined {
    if (this.#most === 0) return undefined;
    const key = keyOf(token);
    const found = this.#remembered.get(key);
    if (!found) return undefined;
    this.#remembered.delete(key);
    if (this.#clock.now() >= found.until || this.#clock.wallTime() >= found.endsAt) return undefined;
    // The one that was used last is the last to go.
    this.#remembered.set(key, found);
    return found.value;
  }

  /** @param endsAt when the token ends, in milliseconds of wall time. */
  set(token: string, value: T, endsAt: number): void {
    if (this.#most === 0) return;
    const [oldest] = this.#remembered.keys();
    if (this.#remembered.size >= this.#most && oldest !== undefined) this.#remembered.delete(oldest);
    this.#remembered.set(keyOf(token), { value, until: this.#clock.now() + this.#forMs, endsAt });
  }
}

function keyOf(token: string): string {
  return hash("sha256", token, "base64");
}
