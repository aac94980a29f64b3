import type { Contract } from "../../contract/contract.ts";
import type { Clock } from "../../core/clock.ts";
import type { Observer } from "../../core/observer.ts";
import type { AccessOf } from "../authentication/access.ts";
import { type AuthenticationSettings, accessLayers } from "../authentication/options.ts";
import type { Keyed } from "../idempotency/keyed-method.ts";
import { DEFAULT_LEASE_MS, type IdempotencyOptions, markedMethods, requireStore } from "../idempotency/options.ts";
import type { ServerLoad } from "../limits/server-load.ts";
import type { ServerLayers } from "../pipeline.ts";
import { writeError } from "../server-options.ts";
import { requestChecks } from "../validation/request-checks.ts";
import type { Validation } from "../validation/validation.ts";
import { deadlineLayer } from "./deadline.ts";
import { heartbeatLayer } from "./heartbeat.ts";
import { idempotencyLayer } from "./idempotency.ts";
import { standingLayer } from "./standing.ts";
import { telemetryLayer } from "./telemetry.ts";
import { validationLayer } from "./validation.ts";

/** What the layers of a server's methods are made with, besides their contract. */
export interface Surroundings extends Partial<Pick<Keyed, "encoded" | "onError">> {
  /** `false`: no repetition is recognised. */
  readonly idempotency?: IdempotencyOptions | false | undefined;
  /** How many calls the server takes on. Default: as many as come. */
  readonly load?: ServerLoad;
  /** Who may call, and how it is found out. Default: whoever likes. */
  readonly access?: AuthenticationSettings & { readonly accessOf: AccessOf };
  /** What evaluates the constraints of requests; `false`: nothing does. */
  readonly validation?: Validation | false | undefined;
}

/**
 * The layers of a contract's methods.
 *
 * @throws TypeError for a contract with idempotency keys where nobody says what keeps their answers, or with constraints
 *   that nobody evaluates or nobody can.
 */
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
    ...(surroundings.access && accessLayers(contract, surroundings.access, clock, observer)),
    ...(observer && { telemetry: telemetryLayer(observer, clock) }),
    ...validationLayers(contract, surroundings.validation),
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
  if (marked.size === 0 || idempotency === false) return {};
  const { store, leaseMs = DEFAULT_LEASE_MS } = idempotency ?? requireStore(contract, marked);
  return { idempotency: idempotencyLayer({ store, leaseMs, encoded, clock, observer, onError }, marked) };
}

function validationLayers(contract: Contract, validation: Surroundings["validation"]): ServerLayers {
  const checks = requestChecks(contract, validation);
  return checks.size === 0 ? {} : { validation: validationLayer(checks) };
}
