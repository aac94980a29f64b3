import type { Clock } from "../../src/core/clock.ts";
import type { Random } from "../../src/core/random.ts";

/** How long work takes. */
export interface WorkModel {
  /** How many pieces of work are done at a time; the others wait in the order of their arrival. */
  readonly workers: number;
  /** How long each takes on average, in milliseconds; exponentially distributed. */
  readonly meanMs: number;
  /** Some take longer by as much, in milliseconds, and hold their worker for it. Default: none. */
  readonly stragglers?: { readonly ratio: number; readonly extraMs: number };
}

interface Waiting {
  readonly arrivedAt: number;
  /** Begins the work; the time may have passed. */
  readonly begin: (at: number) => void;
}

/**
 * Workers that take time and nothing else: to work is to wait for a timer. A worker goes on when its last work should
 * have ended, not when the machine came to it, so that a busy machine has not fewer of them.
 */
export class Workers {
  /** By how much everything that begins now takes longer. */
  slowness = 1;
  readonly #model: WorkModel;
  readonly #clock: Pick<Clock, "now" | "setTimer">;
  readonly #random: Random;
  readonly #queue = new Set<Waiting>();
  #busy = 0;

  constructor(model: WorkModel, clock: Pick<Clock, "now" | "setTimer">, random: Random) {
    this.#model = model;
    this.#clock = clock;
    this.#random = random;
  }

  /** How many pieces of work there are, those that wait among them. */
  get present(): number {
    return this.#busy + this.#queue.size;
  }

  /**
   * Waits for a worker, and for its work.
   *
   * @param signal takes it out of the queue; what has begun is done to its end.
   * @throws the signal's reason.
   */
  work(signal?: AbortSignal): Promise<void> {
    const now = this.#clock.now();
    return new Promise((resolve, reject) => {
      if (this.#busy < this.#model.workers) return this.#begin(now, resolve);
      const begin = (at: number) => {
        signal?.removeEventListener("abort", leave);
        this.#begin(at, resolve);
      };
      const waiting = { arrivedAt: now, begin };
      const leave = () => {
        this.#queue.delete(waiting);
        reject(signal?.reason);
      };
      if (signal?.aborted) return reject(signal.reason);
      signal?.addEventListener("abort", leave, { once: true });
      this.#queue.add(waiting);
    });
  }

  #begin(at: number, done: () => void): void {
    this.#busy += 1;
    const endsAt = at + this.#workMs();
    this.#clock.setTimer(endsAt - this.#clock.now(), () => {
      this.#busy -= 1;
      done();
      const [next] = this.#queue;
      if (!next) return;
      this.#queue.delete(next);
      next.begin(Math.max(endsAt, next.arrivedAt));
    });
  }

  #workMs(): number {
    const { meanMs, stragglers } = this.#model;
    const usualMs = exponential(meanMs, this.#random);
    const extraMs = stragglers && this.#random() < stragglers.ratio ? stragglers.extraMs : 0;
    return (usualMs + extraMs) * this.slowness;
  }
}

/** Draws from the exponential distribution. */
export function exponential(mean: number, random: Random): number {
  return -mean * Math.log(1 - random());
}
