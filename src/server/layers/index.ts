import type { Contract } from "../../contract/contract.ts";
import type { Clock } from "../../core/clock.ts";
import type { Observer } from "../../core/observer.ts";
import type { AccessOf } from "../authentication/access.ts";
import { type AuthenticationSettings, accessLayers } from "../authentication/options.ts";
import type { Keyed } from "../idempotency/keyed.ts";
import { DEFAULT_LEASE_MS, type IdempotencyOptions, markedMethods } from "../idempotency/options.ts";
import type { ServerLoad } from "../limits/server-load.ts";
import type { ServerLayers } from "../pipeline.ts";
import { writeError } from "../server-options.ts";
import type { RequestCheck } from "../validation/request-checks.ts";
import { deadlineLayer } from "./deadline.ts";
import { heartbeatLayer } from "./heartbeat.ts";
import { idempotencyLayer } from "./idempotency.ts";
import { standingLayer } from "./standing.ts";
import { telemetryLayer } from "./telemetry.ts";
import { validationLayer } from "./validation.ts";

/** What the layers of a server's methods are made with, besides their contract. */
export interface Surroundings extends Partial<Pick<Keyed, "encoded" | "onError">> {
  /** Default, as with `false`: no repetition is recognised. */
  readonly idempotency?: IdempotencyOptions | false | undefined;
  /** How many calls the server takes on. Default: as many as come. */
  readonly load?: ServerLoad;
  /** Who may call, and how it is found out. Default: whoever likes. */
  readonly access?: AuthenticationSettings & { readonly accessOf: AccessOf };
  /** What is wrong with requests, by path. Default: nothing ever is. */
  readonly checks?: ReadonlyMap<string, RequestCheck>;
}

/** The layers of a contract's methods; `meetNeeds` says whether the surroundings are all that the contract needs. */
export function serverLayers(
  contract: Contract,
  observer: Observer | undefined,
  clock: Clock,
  surroundings: Surroundings = {},
): ServerLayers {
  return {
    ...keyedLayers(contract, observer, clock, surroundings),
    deadline: deadlineLayer,
    ...surroundings.load?.layers(contract, authenticates(surroundings.access)),
    ...(surroundings.access && accessLayers(surroundings.access, clock, observer)),
    ...(observer && { telemetry: telemetryLayer(observer, clock) }),
    ...(surroundings.checks?.size && { validation: validationLayer(surroundings.checks) }),
    heartbeat: heartbeatLayer(contract, clock),
    standing: standingLayer(contract),
  };
}

/** Which methods ask who is calling, by path. */
function authenticates(access: Surroundings["access"]): (path: string) => boolean {
  return (path) => Boolean(access?.authenticate) && access?.accessOf(path) !== "open";
}

function keyedLayers(
  contract: Contract,
  observer: Observer | undefined,
  clock: Clock,
  { idempotency, encoded = false, onError = writeError }: Surroundings,
): ServerLayers {
  const marked = markedMethods(contract);
  if (marked.size === 0 || !idempotency) return {};
  const { store, leaseMs = DEFAULT_LEASE_MS } = idempotency;
  return { idempotency: idempotencyLayer({ store, leaseMs, encoded, clock, observer, onError }, marked) };
}
