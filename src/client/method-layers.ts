import type { Contract } from "../contract/contract.ts";
import { DEFAULT_TIMEOUT_MS, mergePolicy } from "../contract/policy.ts";
import type { Clock } from "../core/clock.ts";
import { NO_DEADLINE } from "../core/deadline.ts";
import type { Method } from "../core/method.ts";
import type { PipelineOptions } from "./client-options.ts";
import { deadlineLayer } from "./layers/deadline.ts";
import { telemetryLayer } from "./layers/telemetry.ts";
import type { Layers } from "./pipeline.ts";

/**
 * The layers that a method's policy asks for.
 *
 * @param target what the client dials, if that is known.
 */
export function methodLayers(
  contract: Contract,
  key: string,
  method: Method,
  options: PipelineOptions,
  clock: Clock,
  target?: string,
): Layers {
  const policy = mergePolicy(contract.service, contract.methods[key] ?? {}, method.responseStream);
  const said = [policy.timeoutMs, options.timeoutMs].filter((timeoutMs) => timeoutMs !== undefined);
  const timeouts = {
    said: said.length > 0 ? Math.min(...said) : undefined,
    otherwise: method.responseStream ? NO_DEADLINE : DEFAULT_TIMEOUT_MS,
  };
  return {
    deadline: deadlineLayer(timeouts, clock),
    ...(options.observer && {
      telemetry: telemetryLayer("call", options.observer, clock, target),
      attemptTelemetry: telemetryLayer("attempt", options.observer, clock, target),
    }),
  };
}
