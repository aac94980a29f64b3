import { createLocalJWKSet, type JSONWebKeySet, type JWTVerifyGetKey, type LocalJWKSet } from "jose";
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

/** After a failure, the next attempt comes no sooner than this, in milliseconds. */
const AFTER_FAILURE_MS = 1_000;

/**
 * An issuer's keys as they were fetched last, by one request for all who wait. They are fetched anew in the background
 * when half of their time is over, before they are used when all of it is, and when a token names a key that they have
 * not, which a rotation may have brought.
 */
export class FetchedKeys {
  readonly #load: () => Promise<JSONWebKeySet>;
  readonly #terms: FetchTerms;
  #keys: LocalJWKSet | undefined;
  #fetchedAt = Number.NEGATIVE_INFINITY;
  #triedAt = Number.NEGATIVE_INFINITY;
  #failure: { readonly error: unknown } | undefined;
  #fetching: Promise<void> | undefined;

  constructor(load: () => Promise<JSONWebKeySet>, terms: FetchTerms) {
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
    try {
      return await this.#known(header, token);
    } catch (error) {
      if (!isUnknownKey(error)) throw error;
      if (await this.#refetch()) return this.#known(header, token);
      if (this.#failure) unavailable(this.#failure.error);
      throw error;
    }
  };

  #known: JWTVerifyGetKey = (header, token) => {
    if (this.#keys && this.#usable) return this.#keys(header, token);
    return unavailable(this.#failure?.error);
  };

  get #usable(): boolean {
    return this.#ageMs <= this.#terms.keysMaxAgeMs + this.#terms.keysStaleMs;
  }

  get #ageMs(): number {
    return this.#terms.clock.now() - this.#fetchedAt;
  }

  get #sinceTriedMs(): number {
    return this.#terms.clock.now() - this.#triedAt;
  }

  /** Sees to keys that are young enough; what fails here is told when there is none at all. */
  async #refresh(): Promise<void> {
    const { keysMaxAgeMs } = this.#terms;
    const age = this.#ageMs;
    if (age <= keysMaxAgeMs / 2) return;
    const due = !this.#failure || this.#sinceTriedMs >= AFTER_FAILURE_MS;
    const fetching = due ? this.#fetch() : this.#fetching;
    // While they cannot be fetched nobody waits who can do with the old ones.
    const needed = !this.#usable || (age > keysMaxAgeMs && !this.#failure);
    if (needed) await fetching;
  }

  /** Fetches keys for a token that names an unknown one, unless that was done a moment ago: anybody can make one up. */
  async #refetch(): Promise<boolean> {
    const restMs = this.#failure ? AFTER_FAILURE_MS : this.#terms.keysCooldownMs;
    if (!this.#fetching && this.#sinceTriedMs < restMs) return false;
    const before = this.#keys;
    await this.#fetch();
    return this.#keys !== before;
  }

  #fetch(): Promise<void> {
    this.#fetching ??= this.#fetchNow().finally(() => {
      this.#fetching = undefined;
    });
    return this.#fetching;
  }

  async #fetchNow(): Promise<void> {
    this.#triedAt = this.#terms.clock.now();
    try {
      this.#keys = createLocalJWKSet(await this.#load());
      this.#fetchedAt = this.#terms.clock.now();
      this.#failure = undefined;
    } catch (error) {
      this.#failure = { error };
      this.#terms.onKeysError(error);
    }
  }
}

function unavailable(cause: unknown): never {
  fail("UNAVAILABLE", "callers cannot be authenticated at present", { cause });
}

function isUnknownKey(error: unknown): boolean {
  return Reflect.get(Object(error), "code") === "ERR_JWKS_NO_MATCHING_KEY";
}
