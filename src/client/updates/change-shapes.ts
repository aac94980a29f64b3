import type { Contract } from "../../contract/contract.ts";
import type { MethodPolicy } from "../../contract/policy.ts";
import { isBoolean, isOneOf, isText, type OptionCheck } from "../../core/check-options.ts";
import { CRITICALITIES } from "../../core/criticality.ts";
import { areStatuses, isFigure, type Shape } from "./check-changes.ts";
import type { MethodChanges, ServiceChanges } from "./policy-changes.ts";

/** One check for each setting that there is. */
type Settings<Changes> = Readonly<Record<keyof NonNullable<Changes>, OptionCheck>>;

type Mechanisms<Changes> = Readonly<Record<keyof Changes, OptionCheck | Shape>>;

const BACKOFF = { initialBackoffMs: isFigure, maxBackoffMs: isFigure, multiplier: isFigure, jitter: isText };

const RETRY: Settings<MethodChanges["retry"]> = {
  ...{ maxAttempts: isFigure, ...BACKOFF, codes: areStatuses, attemptTimeoutMs: isFigure },
};

const HEDGE: Settings<MethodChanges["hedge"]> = {
  ...{ maxAttempts: isFigure, delayMs: isFigure, nonFatalCodes: areStatuses },
};

const BREAKER: Settings<MethodChanges["breaker"]> = {
  ...{ failureRatio: isFigure, slowRatio: isFigure, slowMs: isFigure, windowMs: isFigure, windowCalls: isFigure },
  ...{ minimumCalls: isFigure, openMs: isFigure, maxOpenMs: isFigure, trials: isFigure, trialTimeoutMs: isFigure },
  ...{ codes: areStatuses, disabled: isBoolean },
};

const SERVICE_BREAKER: Settings<ServiceChanges["breaker"]> = { ...BREAKER, scope: isOneOf("method", "service") };

const THROTTLING: Settings<ServiceChanges["retryThrottling"]> = { maxTokens: isFigure, tokenRatio: isFigure };

const BUDGET: Settings<ServiceChanges["retryBudget"]> = { ratio: isFigure, windowMs: isFigure, minInFlight: isFigure };

const BULKHEAD: Settings<ServiceChanges["bulkhead"]> = {
  ...{ maxConcurrent: isFigure, maxQueued: isFigure, maxWaitMs: isFigure },
};

const LIMIT: Settings<ServiceChanges["adaptiveLimit"]> = {
  ...{ initialLimit: isFigure, minLimit: isFigure, maxLimit: isFigure, tolerance: isFigure, smoothing: isFigure },
};

const THROTTLE: Settings<ServiceChanges["throttle"]> = { k: isFigure, windowMs: isFigure };

const CACHE: Settings<MethodChanges["cache"]> = {
  ...{ ttlMs: isFigure, staleWhileRevalidateMs: isFigure, staleIfErrorMs: isFigure },
  ...{ maxEntries: isFigure, maxBytes: isFigure },
};

const BATCH: Settings<MethodChanges["batch"]> = { maxSize: isFigure, maxWaitMs: isFigure };

const RESUME: Settings<MethodChanges["resume"]> = { ...BACKOFF, codes: areStatuses, maxFailures: isFigure };

const HEARTBEAT: Settings<MethodChanges["heartbeat"]> = { intervalMs: isFigure, missed: isFigure };

const CRITICALITY: OptionCheck = isOneOf(...CRITICALITIES);

const SERVICE: Mechanisms<ServiceChanges> = {
  timeoutMs: isFigure,
  ...{ breaker: { fields: SERVICE_BREAKER }, bulkhead: { fields: BULKHEAD } },
  ...{ retryThrottling: { fields: THROTTLING }, retryBudget: { fields: BUDGET } },
  ...{ adaptiveLimit: { fields: LIMIT }, throttle: { fields: THROTTLE } },
  criticality: CRITICALITY,
};

const STAYS = "cannot be taken away: its streams have messages that are for this client alone";

const NOT_THERE: OptionCheck = () => "is not in the contract, which alone can say what fields it goes by";

/** What an update may say of a method, by what its contract says. */
function methodShape({ resume, heartbeat, batch }: MethodPolicy): Shape {
  const fields: Mechanisms<MethodChanges> = {
    timeoutMs: isFigure,
    ...{ retry: { fields: RETRY }, hedge: { fields: HEDGE } },
    ...{ breaker: { fields: BREAKER }, bulkhead: { fields: BULKHEAD } },
    ...{ coalesce: { fields: {} }, cache: { fields: CACHE } },
    criticality: CRITICALITY,
    resume: resume ? { fields: RESUME, stays: STAYS } : NOT_THERE,
    heartbeat: heartbeat ? { fields: HEARTBEAT, stays: STAYS } : NOT_THERE,
    batch: batch ? { fields: BATCH } : NOT_THERE,
  };
  return { fields, stays: "must be an object: say null of each of its policies that is to be taken away" };
}

/** What an update may say, by what the contract says. */
export function changesShape({ definition, methods }: Contract): Shape {
  const shapes = Object.keys(definition.methods).map((key) => [key, methodShape(methods[key] ?? {})] as const);
  const stays = "must be an object; leave it out for what the contract says";
  return { fields: { service: { fields: SERVICE, stays }, methods: { fields: Object.fromEntries(shapes), stays } } };
}
