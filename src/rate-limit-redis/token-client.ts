import type { Cluster, Redis } from "ioredis";
import { type Clock, systemClock } from "../core/clock.ts";
import { warn } from "../core/warning.ts";
import type { RateLimit } from "../server/index.ts";
import { TAKE_TOKEN } from "./script.ts";

/** The name of our script among the client's commands: the library's own would be that of all its limiters. */
const COMMAND = "bowlineTakeToken";

/** For how many times as long nothing is asked of a Redis that has not answered in time. */
const SILENT_TIMES = 20;

/** When a client takes a command: one that waits connects when it is given its first. */
const ASKED: ReadonlySet<string> = new Set(["ready", "wait"]);

type TakeToken = (key: string, tokenMs: number, fillMs: number) => Promise<[number, number]>;

/** What asks Redis for tokens, for all limits of a store: with a time limit, and not while Redis is away. */
export class TokenClient {
  readonly #redis: Redis | Cluster;
  readonly #timeoutMs: number;
  readonly #onError: ((error: unknown) => void) | undefined;
  readonly #clock: Clock;
  /** Somebody was told that it is away, and it has not answered since. */
  #away = false;
  #silentUntil = Number.NEGATIVE_INFINITY;

  constructor(
    redis: Redis | Cluster,
    timeoutMs: number,
    onError: ((error: unknown) => void) | undefined,
    clock: Clock = systemClock,
  ) {
    this.#redis = redis;
    this.#timeoutMs = timeoutMs;
    this.#onError = onError;
    this.#clock = clock;
    redis.defineCommand(COMMAND, { numberOfKeys: 1, lua: TAKE_TOKEN });
  }

  /**
   * A limit's client, as `RateLimiterRedis` knows ioredis. It answers as that counts: how many points are consumed, more
   * than there are if there is no token, and the time until there is one.
   */
  of({ calls, perMs, burst }: RateLimit): object {
    const tokenMs = perMs / calls;
    return {
      status: "ready",
      defineCommand: () => {},
      rlflxIncr: async ([key = ""]: readonly string[]) => {
        const [taken, waitMs] = await this.#take(key, tokenMs, burst * tokenMs);
        return taken === 1 ? [burst, 0] : [burst + 1, waitMs];
      },
    };
  }

  async #take(key: string, tokenMs: number, fillMs: number): Promise<[number, number]> {
    try {
      if (!ASKED.has(this.#redis.status)) throw new Error(`Redis is away: ${this.#redis.status}`);
      if (this.#clock.now() < this.#silentUntil) throw new Error("Redis has not answered in time");
      const command = Reflect.get(this.#redis, COMMAND) as TakeToken;
      const answer = await this.#inTime(command.call(this.#redis, key, tokenMs, fillMs));
      this.#away = false;
      return answer;
    } catch (error) {
      this.#report(error);
      throw error;
    }
  }

  #report(error: unknown): void {
    if (this.#onError) this.#onError(error);
    else if (!this.#away) warn("redisRateLimit: each process counts for itself", error);
    this.#away = true;
  }

  #inTime<T>(answer: Promise<T>): Promise<T> {
    return new Promise((resolve, reject) => {
      const giveUp = () => {
        this.#silentUntil = this.#clock.now() + SILENT_TIMES * this.#timeoutMs;
        reject(new Error(`Redis has not answered within ${this.#timeoutMs} ms`));
      };
      let timer = this.#clock.setTimer(this.#timeoutMs, () => {
        // Where it was this process that stood still, the answer has come, and is read first.
        timer = this.#clock.setTimer(0, giveUp);
      });
      answer.then(resolve, reject).finally(() => timer.cancel());
    });
  }
}
