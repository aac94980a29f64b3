import type { ClientMiddleware, CallOptions as NiceCallOptions } from "nice-grpc-common";
import { type Contract, requireContract } from "../contract/contract.ts";
import { toMethod } from "../contract/definition.ts";
import type { CallOptions } from "../core/call-options.ts";
import { systemClock } from "../core/clock.ts";
import { MOST_METADATA_BYTES } from "../core/metadata-size.ts";
import { systemRandom } from "../core/random.ts";
import { keepBreakers } from "./breakers-of.ts";
import { CALL_OPTIONS } from "./call-option-names.ts";
import { checkPipelineOptions, type PipelineOptions } from "./client-options.ts";
import { ClientState } from "./client-state.ts";
import { aroundNice, type NiceMethod, niceMiddleware } from "./nice-pipeline.ts";
import { LivePolicies } from "./updates/live-policies.ts";
import type { ContractCallOptions } from "./updates/policy-changes.ts";
import { keepPolicies } from "./updates/update-policies.ts";

/** What the middleware adds to nice-grpc's call options. */
export type MiddlewareCallOptions = Omit<CallOptions<object, unknown>, keyof NiceCallOptions | "waitForReady">;

/**
 * The contract's pipeline as one nice-grpc client middleware: `createClientFactory().use(clientMiddleware(Orders))`.
 * Calls of other services pass through untouched. It cannot see the target: make one per channel, since its breakers,
 * retry throttle and retry budget are its own.
 *
 * `breakersOf` and `updatePolicies` take it as they take a client.
 *
 * What it cannot do, because nice-grpc gives it no way: wait for a connection, and send messages encoded beforehand.
 *
 * @throws TypeError that lists everything that is wrong with the options.
 */
export function clientMiddleware<Client>(
  contract: Contract<Contract["definition"], Client, unknown>,
  options: PipelineOptions<NoInfer<Client>> = {},
): ClientMiddleware<ContractCallOptions<Client>> {
  requireContract(contract, "clientMiddleware");
  const problems = checkPipelineOptions(options, contract);
  if (problems.length > 0) throw new TypeError(`clientMiddleware(${contract.name}): ${problems.join("; ")}`);
  const { retryThrottling, retryBudget } = contract.service;
  const surroundings = { clock: systemClock, random: systemRandom, observer: options.observer, target: undefined };
  const state = new ClientState(surroundings, retryThrottling, retryBudget);
  const policies = new LivePolicies(contract, options, state);
  const { maxMetadataBytes = MOST_METADATA_BYTES } = options;
  const methods = new Map<string, NiceMethod>();
  for (const [key, definition] of Object.entries(contract.definition.methods)) {
    const method = toMethod(contract.definition, definition);
    policies.follow(key, method, (layers) =>
      methods.set(method.path, aroundNice(method, layers, systemClock, maxMetadataBytes)),
    );
  }
  const middleware = niceMiddleware<ContractCallOptions<Client>>(({ path }) => methods.get(path), CALL_OPTIONS);
  return keepPolicies(keepBreakers(middleware, state.breakers), policies);
}
