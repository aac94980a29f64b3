import { type Clock, sleep } from "../../src/core/clock.ts";
import type { Random } from "../../src/core/random.ts";
import { exponential } from "./workers.ts";

/** Calls that come whether others are answered or not, as users do. */
export interface Load {
  /** How many per second on average, at intervals that are exponentially distributed. */
  readonly perSecond: number;
  readonly seconds: number;
}

/** When the calls of a load come, in milliseconds from its beginning. */
export function* arrivals({ perSecond, seconds }: Load, random: Random): Generator<number> {
  const meanMs = 1_000 / perSecond;
  for (let at = exponential(meanMs, random); at < seconds * 1_000; at += exponential(meanMs, random)) yield at;
}

/** What became of one call. */
export interface CallRecord {
  /** When it came, in milliseconds from the beginning of the load. */
  readonly atMs: number;
  /** How much later it was made, in milliseconds: by a client, or a machine, that was busy. */
  readonly lateMs: number;
  /** How long it took from then on: a client that is late makes its users wait as well. */
  readonly tookMs: number;
  readonly ok: boolean;
}

/** Makes each call of a load when it comes; resolves when all have ended. */
export async function offer(
  load: Load,
  call: () => Promise<unknown>,
  clock: Clock,
  random: Random,
): Promise<CallRecord[]> {
  const begin = clock.now();
  const pending: Promise<CallRecord>[] = [];
  for (const atMs of arrivals(load, random)) {
    const waitMs = begin + atMs - clock.now();
    if (waitMs > 0) await sleep(clock, waitMs);
    const lateMs = clock.now() - begin - atMs;
    const ended = (ok: boolean) => ({ atMs, lateMs, tookMs: clock.now() - begin - atMs, ok });
    pending.push(
      call().then(
        () => ended(true),
        () => ended(false),
      ),
    );
  }
  return Promise.all(pending);
}
