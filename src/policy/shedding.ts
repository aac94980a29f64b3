import type { Clock } from "../core/clock.ts";
import type { Criticality } from "../core/criticality.ts";
import type { LimitPermit } from "./adaptive-limit.ts";
import type { ConcurrencyLimit } from "./fixed-limit.ts";
import { ShedQueue, type Waiting } from "./shed-queue.ts";

/** When calls are refused, besides the limit. */
export interface ShedderOptions {
  /** How many may wait for their turn. */
  readonly maxQueued: number;
  /** From which delay of the event loop on what matters least is refused, in milliseconds; Infinity for none. */
  readonly loopDelayMs: number;
}

/** Why a call is refused: the limit, the event loop, a more critical call that took its place, or its deadline. */
export type ShedCause = "limit" | "event-loop" | "displaced" | "expired";

/** Leave to run a call, to be given back once with its outcome. */
export interface ShedPermit extends LimitPermit {
  readonly granted: true;
}

/** A call that is not to be run. */
export interface ShedRefusal {
  readonly granted: false;
  readonly queued: false;
  readonly because: ShedCause;
}

/** A place among those that wait. */
export interface ShedPlace extends Waiting {
  readonly granted: false;
  readonly queued: true;
  /** Says who is told when the turn comes, or that it never will; to be said at once. */
  onTurn(callback: (turn: ShedPermit | ShedRefusal) => void): void;
  /** Leaves. @returns false if the turn has come, or it has left or was refused before. */
  leave(): boolean;
}

/** What a shedder stands at. */
export interface ShedderSnapshot {
  /** How many may run. */
  readonly limit: number;
  readonly running: number;
  readonly queued: number;
}

/**
 * How much of a limit without a queue calls of a criticality may use, as a ratio: the rest is kept for those that matter
 * more. A user's calls, which is what all are by default, may use all of it.
 */
export const SHARES: Readonly<Record<Criticality, number>> = {
  sheddable: 0.5,
  sheddable_plus: 0.75,
  critical: 1,
  critical_plus: 1,
};

/** At how many times `loopDelayMs` calls of a criticality are refused. */
export const DELAYS: Readonly<Record<Criticality, number>> = {
  sheddable: 1,
  sheddable_plus: 2,
  critical: 4,
  critical_plus: Number.POSITIVE_INFINITY,
};

let admit: (shedder: Shedder) => void;
let leave: (shedder: Shedder, place: Place) => boolean;

class Permit implements ShedPermit {
  readonly granted = true;
  readonly #shedder: Shedder;
  readonly #limit: LimitPermit;

  constructor(shedder: Shedder, limit: LimitPermit) {
    this.#shedder = shedder;
    this.#limit = limit;
  }

  success(excusedMs?: number): void {
    this.#limit.success(excusedMs);
    admit(this.#shedder);
  }

  dropped(): void {
    this.#limit.dropped();
    admit(this.#shedder);
  }

  timedOut(excusedMs?: number): void {
    this.#limit.timedOut(excusedMs);
    admit(this.#shedder);
  }

  ignore(): void {
    this.#limit.ignore();
    admit(this.#shedder);
  }
}

class Place implements ShedPlace {
  readonly granted = false;
  readonly queued = true;
  readonly criticality: Criticality;
  readonly deadlineAt: number;
  readonly #shedder: Shedder;
  #callback: ((turn: ShedPermit | ShedRefusal) => void) | undefined;

  constructor(shedder: Shedder, { criticality, deadlineAt }: Waiting) {
    this.#shedder = shedder;
    this.criticality = criticality;
    this.deadlineAt = deadlineAt;
  }

  onTurn(callback: (turn: ShedPermit | ShedRefusal) => void): void {
    this.#callback = callback;
  }

  end(turn: ShedPermit | ShedRefusal): void {
    this.#callback?.(turn);
  }

  leave(): boolean {
    return leave(this.#shedder, this);
  }
}

/**
 * Refuses calls early where a server has too much to do, those that matter least first (SRE book, "Handling Overload").
 *
 * Without a queue, what matters less may use a share of the limit (`SHARES`). With one, all may use all of the limit,
 * and whoever finds no room waits; where no place is left either, a call takes that of one that matters less. Those
 * whose deadline has passed leave, and are never run. An event loop that lags is load that no limit sees: it is refused
 * by `DELAYS`, whatever runs.
 */
export class Shedder {
  readonly #options: ShedderOptions;
  readonly #limit: ConcurrencyLimit;
  readonly #clock: Pick<Clock, "now">;
  readonly #queue = new ShedQueue<Place>();

  static {
    admit = (shedder) => shedder.#admit();
    leave = (shedder, place) => shedder.#queue.remove(place);
  }

  constructor(options: ShedderOptions, limit: ConcurrencyLimit, clock: Pick<Clock, "now">) {
    this.#options = options;
    this.#limit = limit;
    this.#clock = clock;
  }

  /**
   * Leave to run a call now, a place among those that wait, or why there is neither.
   *
   * @param loopDelayMs how far the event loop lags, in milliseconds.
   */
  tryAcquire(call: Waiting, loopDelayMs = 0): ShedPermit | ShedPlace | ShedRefusal {
    const outlook = this.outlook(call, loopDelayMs);
    if (outlook === "event-loop") return refusal(outlook);
    const permit = outlook === "runs" ? this.#take() : undefined;
    if (permit) return permit;
    if (!this.#makePlace(call)) return refusal("limit");
    const place = new Place(this, call);
    this.#queue.add(place);
    return place;
  }

  /**
   * What a call that came now would get: it runs, it waits, or why it is refused. Changes nothing.
   *
   * @param loopDelayMs how far the event loop lags, in milliseconds.
   */
  outlook({ criticality }: Pick<Waiting, "criticality">, loopDelayMs = 0): "runs" | "waits" | "event-loop" | "limit" {
    const { maxQueued } = this.#options;
    if (loopDelayMs > this.#options.loopDelayMs * DELAYS[criticality]) return "event-loop";
    if (this.#queue.size === 0 && this.#hasRoom(maxQueued > 0 ? 1 : SHARES[criticality])) return "runs";
    const canWait = this.#queue.size < maxQueued || this.#queue.yields(criticality, this.#clock.now());
    return canWait ? "waits" : "limit";
  }

  snapshot(): ShedderSnapshot {
    const { limit, inFlight } = this.#limit.snapshot();
    return { limit, running: inFlight, queued: this.#queue.size };
  }

  /** @param share of the limit that may be used; a ratio. */
  #hasRoom(share: number): boolean {
    const { limit, inFlight } = this.#limit.snapshot();
    return inFlight < limit * share;
  }

  #take(): Permit | undefined {
    const permit = this.#limit.tryAcquire();
    return permit && new Permit(this, permit);
  }

  /** @returns whether there is a place to wait at. */
  #makePlace({ criticality }: Waiting): boolean {
    const { maxQueued } = this.#options;
    if (this.#queue.size < maxQueued) return true;
    this.#dropExpired();
    if (this.#queue.size < maxQueued) return true;
    const displaced = this.#queue.takeBelow(criticality);
    displaced?.end(refusal("displaced"));
    return displaced !== undefined;
  }

  #dropExpired(): void {
    for (const place of this.#queue.takeExpired(this.#clock.now())) place.end(refusal("expired"));
  }

  #admit(): void {
    if (this.#queue.size === 0) return;
    this.#dropExpired();
    while (this.#queue.size > 0) {
      const permit = this.#take();
      if (!permit) return;
      this.#queue.takeFirst()?.end(permit);
    }
  }
}

function refusal(because: ShedCause): ShedRefusal {
  return { granted: false, queued: false, because };
}
