import type { ServicePolicy } from "bowline";
import type { ClientModel } from "./client.ts";
import type { Run, Trigger } from "./pair.ts";
import type { ServerModel } from "./server.ts";

/** Work and timeouts take so many times as long as in the reference; the trigger and what follows do not. */
export const METASTABILITY_SCALE = 10;

const WORKERS = 10;
const MEAN_MS = 10 * METASTABILITY_SCALE;
const ATTEMPT_MS = 50 * METASTABILITY_SCALE;
const TIMEOUT_MS = 200 * METASTABILITY_SCALE;
const LOAD = 0.7;

/** Ten times slower for 5 s. */
export const trigger: Trigger = { afterSeconds: 10, seconds: 5, slowness: 10 };

/** In which the load goes on after that. */
export const AFTER_SECONDS = 65;

/** One way to meet the trigger. */
export interface MetastabilityRun extends Run {
  readonly title: string;
  /** The reference's row, and its goodput 55 to 65 s later as a share of capacity. */
  readonly reference?: readonly [title: string, goodput: string];
  /** Whether it is to come back in time, or never. */
  readonly gate?: "back" | "never";
}

const server: ServerModel = { servers: 1, workers: WORKERS, meanMs: MEAN_MS };
const off: ServicePolicy = { breaker: { disabled: true } };
const client: ClientModel = { timeoutMs: TIMEOUT_MS, service: off };
const loop = { attempts: 4, attemptMs: ATTEMPT_MS };
const retry = { retry: { attemptTimeoutMs: ATTEMPT_MS } };
const load = {
  perSecond: (LOAD * WORKERS * 1_000) / MEAN_MS,
  seconds: trigger.afterSeconds + trigger.seconds + AFTER_SECONDS,
};
const same = { server, client, load, trigger };

/** What is to be measured; at the same time, if it can be. */
export const metastabilityRuns: readonly MetastabilityRun[] = [
  { ...same, title: "one attempt", reference: ["no retry", ".71"] },
  {
    ...same,
    title: "4 attempts in a loop",
    reference: ["3 unbounded", "0.00"],
    gate: "never",
    client: { ...client, loop },
  },
  {
    ...same,
    title: "the same; whose time is over leaves the queue",
    reference: ["+ drop-expired", ".09"],
    server: { ...server, heedsSignal: true },
    client: { ...client, loop },
  },
  {
    ...same,
    title: "ours: retry (throttle, budget)",
    reference: ["A6 throttle / 20 % budget", ".70 / .68"],
    client: { ...client, method: retry },
  },
  {
    ...same,
    title: "ours: retry, breaker",
    gate: "back",
    client: { ...client, service: {}, method: retry },
  },
];
