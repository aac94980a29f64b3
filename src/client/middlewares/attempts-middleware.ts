import { isNumber } from "../../contract/option-problems.ts";
import type { RetryBudgetPolicy, RetryThrottlingPolicy } from "../../contract/policy.ts";
import type { CallOptions } from "../../core/call-options.ts";
import { isCount, isFunction, isObject, type OptionCheck } from "../../core/check-options.ts";
import type { Clock } from "../../core/clock.ts";
import { IDEMPOTENCY_KEY } from "../../core/idempotency.ts";
import type { Method } from "../../core/method.ts";
import { Metadata } from "../../transport/index.ts";
import type { OwnOptions } from "../nice-pipeline.ts";
import { budgetProblems, throttlingProblems } from "./single-policy.ts";

/** What `retry()` and `hedge()` take beside their policy: what their calls share. */
export interface AttemptsOptions {
  /** Above how many attempts `maxAttempts` is taken as this many. Default: 5 (gRFC A6). */
  readonly maxAttemptsLimit?: number | undefined;
  /** When failures stop all further attempts (gRFC A6). Default: 10 tokens, 0.1 back for a success. */
  readonly retryThrottling?: RetryThrottlingPolicy | undefined;
  /** How many further attempts there may be. Default: 10 % of the calls in 10 s, and 3 under way at any time. */
  readonly retryBudget?: RetryBudgetPolicy | undefined;
  /** For tests. Default: the machine's. */
  readonly clock?: Clock | undefined;
}

/** What they add to nice-grpc's call options. */
export type AttemptsCallOptions = Pick<CallOptions, "retry" | "maxAttempts">;

/** What they take for themselves out of a call's options. */
export const ATTEMPTS_OWN: OwnOptions = {
  retry: true,
  maxAttempts: true,
  signal: true,
  metadata: true,
  onHeader: true,
  onTrailer: true,
};

/** What the options that they have in common must be. */
export const ATTEMPTS_CHECKS: Readonly<Record<keyof AttemptsOptions | "maxAttempts" | "observer", OptionCheck>> = {
  ...{ maxAttempts: isNumber, maxAttemptsLimit: isCount, retryThrottling: isObject, retryBudget: isObject },
  ...{ observer: isFunction, clock: isObject },
};

/** Whether a call may be made twice: by its method, or because its server will recognise the repetition by a key. */
export function isRepeatable({ idempotency, kind }: Method, { metadata }: Pick<CallOptions, "metadata">): boolean {
  if (idempotency !== "UNKNOWN") return true;
  return kind === "unary" && metadata !== undefined && new Metadata(metadata).has(IDEMPOTENCY_KEY);
}

/** All that is wrong with throttle and budget. */
export function shareProblems({ retryThrottling, retryBudget }: AttemptsOptions): string[] {
  return [...throttlingProblems(retryThrottling), ...budgetProblems(retryBudget)];
}
