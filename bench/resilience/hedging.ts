import type { Run } from "./pair.ts";
import type { ServerModel } from "./server.ts";

/** Work takes so many times as long as in the reference. */
export const HEDGING_SCALE = 30;

/** Half of the reference's servers, so that half of its calls are as much to do for each. */
export const SERVERS = 10;
export const WORKERS_EACH = 4;

const MEAN_MS = 5 * HEDGING_SCALE;
const stragglers = { ratio: 0.005, extraMs: 200 * HEDGING_SCALE };
const LOAD = 0.6;
const SECONDS = 165;

const server: ServerModel = {
  servers: SERVERS,
  workers: WORKERS_EACH,
  meanMs: MEAN_MS,
  stragglers,
  heedsSignal: true,
};
const holdsMs = MEAN_MS + stragglers.ratio * stragglers.extraMs;
const load = { perSecond: (LOAD * SERVERS * WORKERS_EACH * 1_000) / holdsMs, seconds: SECONDS };
/** Longer than any call takes. */
const client = { timeoutMs: 60_000 };

/** One way to send the calls. */
export interface HedgingRun extends Run {
  readonly title: string;
  /** What the reference came to. */
  readonly reference: readonly [slowest: string, extraLoad: string];
}

/** Each call sent once. */
export const plain: HedgingRun = { title: "sent once", reference: ["64 / 211 ms", ""], server, client, load };

/** The same load, hedged by the defaults. */
export const hedged: HedgingRun = {
  ...plain,
  title: "hedged",
  reference: ["29 / 53 ms", "+4.4 %"],
  client: { ...client, method: { hedge: {} } },
};
