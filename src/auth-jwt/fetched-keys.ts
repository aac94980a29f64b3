import type { JWTVerifyGetKey, LocalJWKSet } from "jose";
import type { Clock } from "../core/clock.ts";
import { fail } from "../core/errors.ts";

/** When keys are fetched. */
export interface FetchTerms {
  readonly keysMaxAgeMs: number;
  readonly keysStaleMs: number;
  readonly keysCooldownMs: number;
  readonly clock: Clock;
  readonly onKeysError: (error: unknown) => void;
}

/** After a failure, the next attempt comes no sooner than this where there are no keys at all, in milliseconds. */
const WITHOUT_KEYS_MS = 1_000;

/**
 * How many calls wait at a time for a key that anybody may have made up. Where load is shed each of them has a place
 * that another one could have; what comes beyond is told to come again.
 */
const MOST_WAITING = 8;

/**
 * An issuer's keys as they were fetched last, by one request for all who wait. They are fetched anew in the background
 * when half of their time is over, before they are used when all of it is, and when a token names a key that they have
 * not, which a rotation may have brought.
 *
 * Once a fetch has failed, only the call that begins the next one waits for it: an endpoint that hangs must not have
 * everybody wait who can do without, nor those who cannot take the place of those who can.
 */
export class FetchedKeys {
  readonly #load: () => Promise<LocalJWKSet>;
  readonly #terms: FetchTerms;
  #keys: LocalJWKSet | undefined;
  #fetchedAt = Number.NEGATIVE_INFINITY;
  #triedAt = Number.NEGATIVE_INFINITY;
  #failure: { readonly error: unknown } | undefined;
  #fetching: Promise<void> | undefined;
  #waiting = 0;

  constructor(load: () => Promise<LocalJWKSet>, terms: FetchTerms) {
    this.#load = load;
    this.#terms = terms;
  }

  /**
   * The key that a token names.
   *
   * @throws RpcError UNAVAILABLE if there are no keys, or the one that is named may be among those that could not be
   *   fetched, which is no fault of the caller's; an error of jose's if there is no such key.
   */
  readonly keyFor: JWTVerifyGetKey = async (header, token) => {
    await this.#refresh();
    const tried = this.#keys;
    try {
      return await this.#known(header, token);
    } catch (error) {
      if (!isUnknownKey(error)) throw error;
      // Others may have come meanwhile.
      if (this.#keys === tried) await this.#renew();
      if (this.#keys !== tried) return this.#known(header, token);
      if (this.#failure) unavailable(this.#failure.error);
      throw error;
    }
  };

  #known: JWTVerifyGetKey = (header, token) => {
    if (this.#keys && this.#usable) return this.#keys(header, token);
    return unavailable(this.#failure?.error);
  };

  get #usable(): boolean {
    // Either may be Infinity, as is the age of none.
    return this.#keys !== undefined && this.#ageMs <= this.#terms.keysMaxAgeMs + this.#terms.keysStaleMs;
  }

  get #ageMs(): number {
    return this.#terms.clock.now() - this.#fetchedAt;
  }

  /** How long after a failure the next attempt comes. */
  get #restMs(): number {
    const { keysCooldownMs } = this.#terms;
    return this.#usable ? keysCooldownMs : Math.min(keysCooldownMs, WITHOUT_KEYS_MS);
  }

  /** Sees to keys that are young enough; what fails here is told when there is none at all. */
  async #refresh(): Promise<void> {
    const { keysMaxAgeMs } = this.#terms;
    const age = this.#ageMs;
    if (this.#keys && age <= keysMaxAgeMs / 2) return;
    const failed = this.#failure !== undefined;
    const begun = this.#begin(failed ? this.#restMs : 0);
    // While they cannot be fetched nobody waits who can do with the old ones.
    if (this.#usable && (failed || age <= keysMaxAgeMs)) return;
    await (begun ?? (failed ? undefined : this.#fetching));
  }

  /** Fetches keys for a token that names an unknown one, unless that was done a moment ago: anybody can make one up. */
  async #renew(): Promise<void> {
    const failed = this.#failure !== undefined;
    const begun = this.#begin(this.#terms.keysCooldownMs);
    const awaited = begun ?? (failed ? undefined : this.#fetching);
    if (!awaited) return;
    if (this.#waiting >= MOST_WAITING) unavailable(undefined);
    this.#waiting += 1;
    try {
      await awaited;
    } finally {
      this.#waiting -= 1;
    }
  }

  /** Begins to fetch them, unless that is under way, or was so shortly ago. */
  #begin(restMs: number): Promise<void> | undefined {
    if (this.#fetching || this.#terms.clock.now() - this.#triedAt < restMs) return undefined;
    this.#fetching = this.#fetch();
    return this.#fetching;
  }

  async #fetch(): Promise<void> {
    try {
      this.#keys = await this.#load();
      this.#fetchedAt = this.#terms.clock.now();
      this.#failure = undefined;
    } catch (error) {
      this.#failure = { error };
      this.#terms.onKeysError(error);
    } finally {
      // From its end on: one that hangs would have the next one follow at once.
      this.#triedAt = this.#terms.clock.now();
      this.#fetching = undefined;
    }
  }
}

function unavailable(cause: unknown): never {
  fail("UNAVAILABLE", "callers cannot be authenticated at present", { cause });
}

function isUnknownKey(error: unknown): boolean {
  return Reflect.get(Object(error), "code") === "ERR_JWKS_NO_MATCHING_KEY";
}
