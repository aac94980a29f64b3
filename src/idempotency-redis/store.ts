import type { Cluster, Redis } from "ioredis";
import { checkOptions, type OptionCheck, show } from "../core/check-options.ts";
import { systemRandom } from "../core/random.ts";
import type { Claim, ClaimOutcome, ClaimWish, IdempotencyId, IdempotencyStore } from "../server/index.ts";
import { CLAIM, COMPLETE, RELEASE, RENEW, type Script } from "./scripts.ts";

/** What a store in Redis is made with. */
export interface RedisIdempotencyOptions {
  /** What its keys begin with. Default: `bowline:idempotency:`. */
  readonly prefix?: string | undefined;
}

const OPTIONS: Readonly<Record<keyof RedisIdempotencyOptions, OptionCheck>> = {
  prefix: (value) => (typeof value === "string" && value !== "" ? undefined : `must be a text; it is ${show(value)}`),
};

/**
 * Keeps answers in Redis, for any number of servers; leases go by Redis's clock, and each step is one script. Redis must
 * not evict keys (`maxmemory-policy noeviction`), and a failover to a replica that had not heard of a claim lets the
 * handler run again: what must never happen twice belongs into a database, with `commit`. It does not close the client.
 *
 * @param redis of `ioredis`: a client or a cluster.
 * @throws TypeError that lists everything that is wrong with the options.
 */
export function redisIdempotency(redis: Redis | Cluster, options: RedisIdempotencyOptions = {}): IdempotencyStore {
  const problems = [
    ...(typeof redis?.callBuffer === "function" ? [] : ["the first argument must be a client of ioredis"]),
    ...checkOptions(options, OPTIONS),
  ];
  if (problems.length > 0) throw new TypeError(`redisIdempotency: ${problems.join("; ")}`);
  return new RedisStore(redis, options.prefix ?? "bowline:idempotency:");
}

class RedisStore implements IdempotencyStore {
  readonly #redis: Redis | Cluster;
  readonly #prefix: string;
  readonly #name = Math.floor(systemRandom() * 2 ** 52).toString(36);
  #claims = 0;

  constructor(redis: Redis | Cluster, prefix: string) {
    this.#redis = redis;
    this.#prefix = prefix;
  }

  async claim(wish: ClaimWish): Promise<ClaimOutcome> {
    this.#claims += 1;
    // ioredis sends a command again whose connection broke before the answer came: the claim may be there already.
    const claimant = `${this.#name}.${this.#claims}`;
    const reply = await this.#run(CLAIM, wish, wish.fingerprint, wish.leaseMs, wish.ttlMs, claimant);
    return toOutcome(reply as Buffer[]);
  }

  async renew(held: Claim): Promise<boolean> {
    return (await this.#run(RENEW, held, held.token, held.leaseMs, held.ttlMs)) === 1;
  }

  async complete(held: Claim, answer: Uint8Array): Promise<boolean> {
    return (await this.#run(COMPLETE, held, held.token, held.ttlMs, Buffer.from(answer))) === 1;
  }

  async release(held: Claim): Promise<void> {
    await this.#run(RELEASE, held, held.token);
  }

  /** Sends a script's name, and the script itself to a server that does not have it. */
  async #run({ sha1, source }: Script, id: IdempotencyId, ...values: (string | number | Buffer)[]): Promise<unknown> {
    const { identity, method, key } = id;
    const rest = ["1", `${this.#prefix}${JSON.stringify([identity, method, key])}`, ...values];
    try {
      return await this.#redis.callBuffer("EVALSHA", sha1, ...rest);
    } catch (error) {
      if (!(error instanceof Error && error.message.startsWith("NOSCRIPT"))) throw error;
      return this.#redis.callBuffer("EVAL", source, ...rest);
    }
  }
}

function toOutcome([state, value, takenOver]: readonly Buffer[]): ClaimOutcome {
  switch (String(state)) {
    case "claimed":
      return { state: "claimed", token: Number(value), takenOver: String(takenOver) === "1" };
    case "answered":
      return { state: "answered", answer: new Uint8Array(value ?? []) };
    case "running":
      return { state: "running", leaseMs: Number(value) };
    default:
      return { state: "conflict" };
  }
}
