/** When a stream without progress is given up. */
export interface StallOptions {
  /** How often the server gives a sign of life, in milliseconds. */
  readonly intervalMs: number;
  /** After how many intervals in a row without one the stream is stalled. */
  readonly missed: number;
}

/**
 * Tells a quiet stream from one that is stuck (rule S6). It is told of each message and, once every interval, that the
 * interval is over. Only intervals throughout which the reader waited count, so that a slow reader is no stall; and
 * they are counted, not reckoned from two instants, so that a process that stood still has missed one and no more.
 */
export class Stall {
  readonly #missed: number;
  #waiting = false;
  #progressed = false;
  #silent = 0;

  constructor({ missed }: Pick<StallOptions, "missed">) {
    this.#missed = missed;
  }

  /** The reader waits for a message. */
  waits(): void {
    if (this.#waiting) return;
    this.#waiting = true;
    // The interval has begun without it.
    this.#progressed = true;
  }

  /** A message came, and the reader no longer waits. */
  progressed(): void {
    this.#waiting = false;
    this.#progressed = true;
  }

  /** An interval is over. @returns whether the stream is stalled. */
  intervalOver(): boolean {
    this.#silent = this.#waiting && !this.#progressed ? this.#silent + 1 : 0;
    this.#progressed = false;
    return this.#silent >= this.#missed;
  }
}
