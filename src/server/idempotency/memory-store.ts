import { checkOptions, isCount, isObject, type OptionCheck } from "../../core/check-options.ts";
import { type Clock, systemClock } from "../../core/clock.ts";
import { claim, complete, type IdempotencyRecord, release, renew } from "../../policy/idempotency.ts";
import { type IdempotencyId, type IdempotencyStore, idOf } from "./store.ts";

/** What a store in memory is made with. */
export interface MemoryIdempotencyOptions {
  /**
   * How many keys are kept; above it the oldest go first, before their time: answers, whose repetition runs again, and
   * keys whose run was cut off, of which the next run is not told then. Claims that hold are never dropped. Default:
   * 10,000.
   */
  readonly maxEntries?: number | undefined;
  /** How many bytes the answers may have, as encoded; the newest answer is kept in any case. Default: 64 MiB. */
  readonly maxBytes?: number | undefined;
  /** For tests. Default: the machine's. */
  readonly clock?: Clock | undefined;
}

const OPTIONS: Readonly<Record<keyof MemoryIdempotencyOptions, OptionCheck>> = {
  maxEntries: isCount,
  maxBytes: isCount,
  clock: isObject,
};

/**
 * Keeps answers in this process: for tests, and for a service that is one process and may forget them when it stops.
 * With several servers each would run the handler once.
 *
 * @throws TypeError that lists everything that is wrong with the options.
 */
export function memoryIdempotency(options: MemoryIdempotencyOptions = {}): IdempotencyStore {
  const problems = checkOptions(options, OPTIONS);
  if (problems.length > 0) throw new TypeError(`memoryIdempotency: ${problems.join("; ")}`);
  const { maxEntries = 10_000, maxBytes = 64 * 1024 * 1024, clock = systemClock } = options;
  const records = new BoundedRecords(maxEntries, maxBytes);
  // Past those of a process before this one: systems that refuse what comes late may remember them.
  let lastToken = Math.floor(clock.wallTime() * 1_000);
  const change = (id: IdempotencyId, record: IdempotencyRecord | undefined) => {
    if (record) records.set(idOf(id), record, clock.now());
    return record !== undefined;
  };
  return {
    async claim(wish) {
      const { outcome, record } = claim(records.get(idOf(wish)) ?? forgotten(lastToken), wish, clock.now());
      change(wish, record);
      lastToken = Math.max(lastToken, record?.token ?? 0);
      return outcome;
    },
    async renew(held) {
      return change(held, renew(records.get(idOf(held)), held.token, held, clock.now()));
    },
    async complete(held, answer) {
      return change(held, complete(records.get(idOf(held)), held.token, answer, held, clock.now()));
    },
    async release(held) {
      if (release(records.get(idOf(held)), held.token)) records.delete(idOf(held));
    },
  };
}

/** What is known of a key that was given back, or had to go: whoever had it, the next claim has a greater token. */
function forgotten(token: number): IdempotencyRecord {
  return { fingerprint: undefined, token, leaseEndsAt: 0, expiresAt: 0, answer: undefined };
}

/** Records within bounds, the one that changed least recently first. */
class BoundedRecords {
  readonly #records = new Map<string, IdempotencyRecord>();
  readonly #maxEntries: number;
  readonly #maxBytes: number;
  #bytes = 0;

  constructor(maxEntries: number, maxBytes: number) {
    this.#maxEntries = maxEntries;
    this.#maxBytes = maxBytes;
  }

  get(id: string): IdempotencyRecord | undefined {
    return this.#records.get(id);
  }

  set(id: string, record: IdempotencyRecord, now: number): void {
    this.delete(id);
    this.#records.set(id, record);
    this.#bytes += record.answer?.length ?? 0;
    this.#makeRoom(id, now);
  }

  delete(id: string): void {
    this.#bytes -= this.#records.get(id)?.answer?.length ?? 0;
    this.#records.delete(id);
  }

  #makeRoom(newest: string, now: number): void {
    for (const [id, record] of this.#records) {
      const crowded = this.#records.size > this.#maxEntries;
      const full = crowded || this.#bytes > this.#maxBytes;
      if (now < record.expiresAt && !full) return;
      if (id !== newest && mayGo(record, crowded, now)) this.delete(id);
    }
  }
}

/** What has expired goes in any case. Without an answer a record takes no bytes, and only its claim may be in use. */
function mayGo({ answer, leaseEndsAt, expiresAt }: IdempotencyRecord, crowded: boolean, now: number): boolean {
  if (now >= expiresAt || answer) return true;
  return crowded && now >= leaseEndsAt;
}
