/** How a limit follows latency. */
export interface Gradient2Options {
  /** Where it begins. */
  readonly initialLimit: number;
  /** It never falls below. */
  readonly minLimit: number;
  /** It never rises above. */
  readonly maxLimit: number;
  /** How much longer than usual calls may take before it falls; a ratio. */
  readonly tolerance: number;
  /** How much of each new estimate is taken. */
  readonly smoothing: number;
}

/** What a window of calls came to. */
export interface LatencySample {
  /** How long they took on average, in milliseconds; undefined if none succeeded. */
  readonly shortMs: number | undefined;
  /** The most that were under way at a time. */
  readonly inFlight: number;
  /** Share of them that the target turned away, or did not answer in time. */
  readonly droppedRatio: number;
}

/** How many may wait at the target: what the limit grows by while nothing is slower than usual. */
const QUEUE = 4;
/** The least that one window leaves of the limit, before it is smoothed. */
const LEAST_GRADIENT = 0.5;
/** How many samples the usual latency looks back on. */
const LONG_WINDOW = 600;
/** How many samples count alike before the moving average begins. */
const WARM_UP = 10;
/** Where the usual latency is so many times the latest, it belongs to a load that has passed. */
const OUTDATED = 2;
/** What is left of it then, at each sample. */
const DECAY = 0.95;

/**
 * The Gradient2 limit of Netflix's concurrency-limits: compares the latest latency with the usual one. While it is not
 * slower than tolerated, the limit grows by what may queue; where it is, the limit falls in proportion. Ours: where
 * some of the calls are dropped, it falls by their share too, so that a target that turns calls away quickly does not
 * look fast.
 */
export class Gradient2 {
  #options: Gradient2Options;
  #estimate: number;
  #longMs = 0;
  #samples = 0;

  constructor(options: Gradient2Options) {
    this.#options = options;
    this.#estimate = options.initialLimit;
  }

  /** How many calls may be under way; a whole number. */
  get limit(): number {
    return Math.floor(this.#estimate);
  }

  /** How long calls usually take, in milliseconds; 0 as long as nobody knows. */
  get longMs(): number {
    return this.#longMs;
  }

  /** Goes by other options from here on: what it has learned stays, as far as it lies between the new bounds. */
  adjust(options: Gradient2Options): void {
    this.#options = options;
    this.#estimate = Math.min(Math.max(this.#estimate, options.minLimit), options.maxLimit);
  }

  update({ shortMs, inFlight, droppedRatio }: LatencySample): void {
    const ratio = shortMs === undefined ? 1 : this.#add(shortMs) / shortMs;
    if (ratio > OUTDATED) this.#longMs *= DECAY;
    // With so few under way, the latency is not of the limit's making.
    if (inFlight < this.#estimate / 2) return;
    const { minLimit, maxLimit, tolerance, smoothing } = this.#options;
    const gradient = Math.max(LEAST_GRADIENT, Math.min(1, tolerance * ratio) * (1 - droppedRatio));
    const next = this.#estimate * (1 - smoothing) + (this.#estimate * gradient + QUEUE) * smoothing;
    this.#estimate = Math.min(Math.max(next, minLimit), maxLimit);
  }

  /** Takes a sample into the usual latency, and gives it. */
  #add(sampleMs: number): number {
    if (this.#samples < WARM_UP) {
      this.#samples += 1;
      this.#longMs += (sampleMs - this.#longMs) / this.#samples;
    } else {
      this.#longMs += (sampleMs - this.#longMs) * (2 / (LONG_WINDOW + 1));
    }
    return this.#longMs;
  }
}
