import type { Contract } from "../../contract/contract.ts";
import { DEFAULT_TIMEOUT_MS, type MethodPolicy, mergePolicy } from "../../contract/policy.ts";
import { failureCodes, resolveRetry, TRIAL_TIMEOUT_MS } from "../../contract/resolve.ts";
import type { Layer } from "../../core/call.ts";
import { NO_DEADLINE } from "../../core/deadline.ts";
import type { Method } from "../../core/method.ts";
import type { PipelineOptions } from "../client-options.ts";
import type { ClientState } from "../client-state.ts";
import type { Credentials } from "../credentials/credentials.ts";
import { fallbackOf } from "../fallbacks.ts";
import { attemptDeadlineLayer } from "../layers/attempt-deadline.ts";
import { breakerLayer } from "../layers/breaker.ts";
import { callCredentialsLayer } from "../layers/call-credentials.ts";
import { credentialsLayer } from "../layers/credentials.ts";
import { criticalityLayer } from "../layers/criticality.ts";
import { deadlineLayer, type Timeouts } from "../layers/deadline.ts";
import { idempotencyKeyLayer } from "../layers/idempotency-key.ts";
import { retryLayer } from "../layers/retry.ts";
import { telemetryLayer } from "../layers/telemetry.ts";
import type { Layers } from "../pipeline.ts";
import { reportTo } from "../report.ts";
import { batchLayers } from "./batch-layers.ts";
import { hedgeLayers } from "./hedge-layers.ts";
import { isolationLayers } from "./isolation-layers.ts";
import { sharingLayers } from "./sharing-layers.ts";
import { type StreamPolicy, streamLayers } from "./stream-layers.ts";

/** The layers that a method's policy asks for. */
export function methodLayers(
  contract: Contract,
  key: string,
  method: Method,
  options: PipelineOptions & { readonly credentials?: Credentials },
  state: ClientState,
): Layers {
  const own = contract.methods[key] ?? {};
  const policy = mergePolicy(contract.service, own, method.responseStream);
  const { clock, random, observer, target } = state.surroundings;
  const timeouts = timeoutsOf(policy, options, method);
  const keyed = policy.idempotencyKey !== undefined && method.kind === "unary";
  // Where a key is sent, the server deduplicates.
  const repeatable = keyed || method.idempotency !== "UNKNOWN";
  return {
    criticality: criticalityLayer(options.criticality),
    deadline: deadlineLayer(timeouts, clock),
    ...(keyed && { idempotencyKey: idempotencyKeyLayer(random) }),
    ...sharingLayers(policy, method, state, {
      ...(options.partition !== undefined && { partition: options.partition }),
      timeoutMs: timeouts.said ?? timeouts.otherwise,
      fallback: fallbackOf(options.fallback, key),
    }),
    ...batchLayers(contract, key, policy, state),
    ...(repeatable && retryLayers(policy, state, options.maxAttemptsLimit)),
    ...(repeatable && hedgeLayers(policy, method, state, options.maxAttemptsLimit)),
    ...streamLayers(streamPolicy(contract, key, policy, method), state),
    ...isolationLayers({ ...contract.service, bulkhead: policy.bulkhead }, method.path, state),
    ...breakerLayers(policy, breakerName(contract, own, method), timeouts, state),
    ...(options.credentials && {
      callCredentials: callCredentialsLayer(options.credentials, options.partition),
      credentials: credentialsLayer({ clock, closed: state.closed }),
    }),
    ...(observer && {
      telemetry: telemetryLayer("call", observer, clock, target),
      attemptTelemetry: telemetryLayer("attempt", observer, clock, target),
    }),
  };
}

function streamPolicy(
  { cursors, heartbeats }: Contract,
  key: string,
  policy: MethodPolicy,
  method: Method,
): StreamPolicy {
  const { resume, heartbeat } = policy;
  const { complete } = method.request;
  const access = cursors[key];
  const emptyCursor = () =>
    access && Reflect.get(method.request.decode(new Uint8Array()) as object, access.requestField);
  return { resume, access, emptyCursor, complete, heartbeat, marked: heartbeats?.[key] };
}

function timeoutsOf(policy: MethodPolicy, options: PipelineOptions, method: Method): Timeouts {
  const said = [policy.timeoutMs, options.timeoutMs].filter((timeoutMs) => timeoutMs !== undefined);
  return {
    said: said.length > 0 ? Math.min(...said) : undefined,
    otherwise: method.responseStream ? NO_DEADLINE : DEFAULT_TIMEOUT_MS,
  };
}

/** The layers of a retry policy, if there is one. */
export function retryLayers({ retry }: MethodPolicy, state: ClientState, mostAttempts?: number): Layers {
  if (!retry) return {};
  const { clock, random, observer, target } = state.surroundings;
  const report = reportTo(observer, "retry", target);
  const options = resolveRetry(retry, mostAttempts);
  const { attemptTimeoutMs } = options;
  return {
    retryOrHedge: retryLayer({ options, share: state.retryShare, clock, random, report, closed: state.closed }),
    ...(attemptTimeoutMs !== undefined && { attemptDeadline: attemptDeadlineLayer(attemptTimeoutMs, clock) }),
  };
}

/** The layer of a breaker policy, unless it says that there is none. */
function breakerLayers(
  { breaker: policy }: MethodPolicy,
  name: string,
  timeouts: Timeouts,
  state: ClientState,
): Layers {
  if (policy?.disabled) return {};
  const { clock, observer, target } = state.surroundings;
  const report = reportTo(observer, "breaker", target);
  const defaults = { slowMs: (timeouts.said ?? timeouts.otherwise) / 2, trialTimeoutMs: trialTimeoutOf(timeouts) };
  const breaker = state.breakerBy(name, policy ?? {}, defaults);
  const { slowMs = defaults.slowMs, trialTimeoutMs = defaults.trialTimeoutMs } = policy ?? {};
  const codes = failureCodes(policy);
  const layer: Layer = breakerLayer({ breaker, codes, slowMs, trialTimeoutMs, clock, waits: state.waits, report });
  return { breaker: layer };
}

/** A trial may take as long as any call. */
function trialTimeoutOf({ said, otherwise }: Timeouts): number {
  const timeoutMs = said ?? otherwise;
  return timeoutMs === NO_DEADLINE ? 60_000 : Math.max(TRIAL_TIMEOUT_MS, timeoutMs);
}

/** The name of a method's breaker. Where methods share their service's, one that says something of its own has its own. */
export function breakerName({ name, service }: Contract, own: MethodPolicy, method: Method): string {
  return service.breaker?.scope === "service" && !own.breaker ? name : method.path;
}
