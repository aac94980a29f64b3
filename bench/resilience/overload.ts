import type { ServicePolicy } from "bowline";
import type { ClientModel } from "./client.ts";
import type { Run } from "./pair.ts";
import type { ServerModel } from "./server.ts";

/** Everything takes so many times as long as in the reference. */
export const OVERLOAD_SCALE = 20;

/** What comes before is not looked at: backlogs, limits and breakers come to where they stay. */
export const SETTLE_SECONDS = 5;
const MEASURE_SECONDS = 16;

const WORKERS = 10;
const MEAN_MS = 10 * OVERLOAD_SCALE;
const TIMEOUT_MS = 100 * OVERLOAD_SCALE;
const ATTEMPT_MS = 30 * OVERLOAD_SCALE;

/** Calls that the workers can do per second. */
export const CAPACITY = (WORKERS * 1_000) / MEAN_MS;

/** What the reference came to: goodput as a percentage of capacity at its load and at twice that, attempts at twice. */
export interface OverloadReference {
  readonly row: string;
  readonly atOnce: number;
  readonly atTwice: number;
  readonly attempts: string;
}

/** One way to meet an overload. */
export interface OverloadRow {
  readonly title: string;
  readonly reference?: OverloadReference;
  /** Whether it is to keep its goodput at twice the load. */
  readonly gated?: boolean;
  readonly server: ServerModel;
  readonly client: ClientModel;
}

const server: ServerModel = { servers: 1, workers: WORKERS, meanMs: MEAN_MS };
const off: ServicePolicy = { breaker: { disabled: true } };
const client: ClientModel = { timeoutMs: TIMEOUT_MS, service: off };
const loop = { attempts: 4, attemptMs: ATTEMPT_MS };
const patientLoop = { attempts: 4, attemptMs: TIMEOUT_MS };
const retry = { retry: {} };

/** The rows of the table; those without a breaker have it switched off, and all else that is not named too. */
export const overloadRows: readonly OverloadRow[] = [
  { title: "no limits", reference: said("none", 72, 0, "1"), server, client },
  {
    title: "no limits; whose time is over leaves the handler's queue",
    reference: said("drop expired only", 90, 9, "1"),
    server: { ...server, heedsSignal: true },
    client,
  },
  {
    title: "no limits; 4 attempts in a loop",
    reference: said("none + 3 retries", 0, 0, "3.0"),
    server,
    client: { ...client, loop },
  },
  {
    title: "no limits; client: retry, breaker",
    server,
    client: { ...client, service: {}, method: { retry: { attemptTimeoutMs: ATTEMPT_MS } } },
  },
  {
    title: "client: bulkhead of 20",
    reference: said("limit 20", 94, 100, "1"),
    gated: true,
    server,
    client: { ...client, service: { ...off, bulkhead: { maxConcurrent: 20 } } },
  },
  {
    title: "client: adaptive limit",
    reference: said("Gradient2", 97, 101, "1"),
    gated: true,
    server,
    client: { ...client, service: { ...off, adaptiveLimit: {} } },
  },
  {
    title: "client: adaptive limit, retry, breaker",
    gated: true,
    server,
    client: { ...client, service: { adaptiveLimit: {} }, method: retry },
  },
  {
    title: "server sheds above 20",
    reference: said("limit 20", 94, 100, "1"),
    gated: true,
    server: { ...server, shed: { maxConcurrent: 20 } },
    client,
  },
  {
    title: "server sheds by its adaptive limit",
    reference: said("Gradient2", 97, 101, "1"),
    gated: true,
    server: { ...server, shed: {} },
    client,
  },
  {
    title: "server sheds above 20; 4 attempts in a loop",
    reference: said("limit 20 + 3 retries", 97, 97, "3.14"),
    server: { ...server, shed: { maxConcurrent: 20 } },
    client: { ...client, loop: patientLoop },
  },
  {
    title: "server sheds above 20; client: retry, breaker, throttle",
    reference: said("limit 20 + A6 throttle", 94, 100, "1.00"),
    gated: true,
    server: { ...server, shed: { maxConcurrent: 20 } },
    client: { ...client, service: { throttle: {} }, method: retry },
  },
  {
    title: "handler refuses above 20; client: retry",
    reference: said("limit 20 + 20 % budget", 96, 100, "1.10"),
    gated: true,
    server: { ...server, refusesAt: 20 },
    client: { ...client, method: retry },
  },
  {
    title: "handler refuses above 20; client: retry, breaker",
    server: { ...server, refusesAt: 20 },
    client: { ...client, service: {}, method: retry },
  },
];

/** A load on one row's server. */
export interface OverloadRun extends Run {
  readonly row: OverloadRow;
  /** How many times the capacity. */
  readonly times: number;
}

/** What is to be measured. */
export function overloadRuns(): OverloadRun[] {
  const seconds = SETTLE_SECONDS + MEASURE_SECONDS;
  return [2, 1].flatMap((times) =>
    overloadRows.map((row) => ({ ...row, row, times, load: { perSecond: times * CAPACITY, seconds } })),
  );
}

function said(row: string, atOnce: number, atTwice: number, attempts: string): OverloadReference {
  return { row, atOnce, atTwice, attempts };
}
