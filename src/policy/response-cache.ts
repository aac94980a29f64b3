import type { Clock } from "../core/clock.ts";

/** How long, and how many, answers are kept. All times in milliseconds. */
export interface ResponseCacheOptions {
  /** For how long an answer is fresh. */
  readonly ttlMs: number;
  /** For how long after that it may be given while a newer one is fetched. */
  readonly staleWhileRevalidateMs: number;
  /** For how long after `ttlMs` it may be given when the call fails. */
  readonly staleIfErrorMs: number;
  readonly maxEntries: number;
  /** Of keys and answers together: what is kept is both. */
  readonly maxBytes: number;
}

/** An answer that was kept. */
export interface KeptAnswer {
  readonly bytes: Uint8Array;
  /** Since its call began. */
  readonly ageMs: number;
  readonly stale: boolean;
}

/** Leave to fetch a newer answer; nobody else has it for this key meanwhile. */
export interface Refresh {
  /** Gives it back; once, further calls do nothing. */
  end(): void;
}

/** What a cache stands at. */
export interface ResponseCacheSnapshot {
  readonly entries: number;
  readonly bytes: number;
  /** How many newer answers are being fetched. */
  readonly refreshing: number;
}

interface Entry {
  readonly bytes: Uint8Array;
  readonly size: number;
  /** When the call began that it is the answer to: it may be as old as that. */
  readonly since: number;
}

/**
 * Answers by key, fresh and stale (RFC 5861), bounded in entries and bytes; what was used least recently goes first.
 * Keys are texts with a character for each byte.
 */
export class ResponseCache {
  #options: ResponseCacheOptions;
  readonly #clock: Pick<Clock, "now">;
  /** Least recently used first. */
  readonly #entries = new Map<string, Entry>();
  readonly #refreshing = new Set<string>();
  #bytes = 0;

  constructor(options: ResponseCacheOptions, clock: Pick<Clock, "now">) {
    this.#options = options;
    this.#clock = clock;
  }

  /** Goes by other options from here on, for what is kept already too: it may be fresh again, or too much. */
  adjust(options: ResponseCacheOptions): void {
    this.#options = options;
    this.#shrink();
  }

  /** An answer that may be given without a call: fresh, or stale while a newer one is fetched. */
  find(key: string): KeptAnswer | undefined {
    return this.#use(key, this.#options.staleWhileRevalidateMs);
  }

  /** An answer that may be given since the call failed. */
  findAfterError(key: string): KeptAnswer | undefined {
    return this.#use(key, this.#options.staleIfErrorMs);
  }

  /** @returns undefined if somebody fetches a newer answer already. */
  tryRefresh(key: string): Refresh | undefined {
    if (this.#refreshing.has(key)) return undefined;
    this.#refreshing.add(key);
    let ended = false;
    const end = () => {
      if (!ended) this.#refreshing.delete(key);
      ended = true;
    };
    return { end };
  }

  /**
   * Keeps an answer, unless a newer one is kept, or it is larger than all of the cache.
   *
   * @param since when its call began.
   */
  keep(key: string, bytes: Uint8Array, since: number): void {
    const known = this.#entries.get(key);
    if (known && known.since > since) return;
    this.#remove(key);
    const size = key.length + bytes.length;
    if (size > this.#options.maxBytes) return;
    this.#entries.set(key, { bytes, size, since });
    this.#bytes += size;
    this.#shrink();
  }

  snapshot(): ResponseCacheSnapshot {
    return { entries: this.#entries.size, bytes: this.#bytes, refreshing: this.#refreshing.size };
  }

  #use(key: string, staleMs: number): KeptAnswer | undefined {
    const entry = this.#entries.get(key);
    if (!entry) return undefined;
    const ageMs = this.#clock.now() - entry.since;
    const { ttlMs, staleWhileRevalidateMs, staleIfErrorMs } = this.#options;
    if (ageMs >= ttlMs + Math.max(staleWhileRevalidateMs, staleIfErrorMs)) this.#remove(key);
    if (ageMs >= ttlMs + staleMs) return undefined;
    this.#entries.delete(key);
    this.#entries.set(key, entry);
    return { bytes: entry.bytes, ageMs, stale: ageMs >= ttlMs };
  }

  #shrink(): void {
    for (const oldest of this.#entries.keys()) {
      if (this.#entries.size <= this.#options.maxEntries && this.#bytes <= this.#options.maxBytes) break;
      this.#remove(oldest);
    }
  }

  #remove(key: string): void {
    this.#bytes -= this.#entries.get(key)?.size ?? 0;
    this.#entries.delete(key);
  }
}
