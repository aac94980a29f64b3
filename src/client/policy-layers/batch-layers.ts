import type { Contract } from "../../contract/contract.ts";
import { toMethod } from "../../contract/definition.ts";
import type { MethodPolicy } from "../../contract/policy.ts";
import { resolveBatch } from "../../contract/resolve.ts";
import { Batching } from "../../policy/batching.ts";
import type { ClientState } from "../client-state.ts";
import { batchLayer } from "../layers/batch.ts";
import type { GatheredCalls } from "../layers/gathered-calls.ts";
import type { Layers } from "../pipeline.ts";
import { reportTo } from "../report.ts";

/**
 * The layer by which calls of a method become parts of another method's. Without a way to that one, as within
 * nice-grpc, they go one by one.
 */
export function batchLayers(contract: Contract, key: string, { batch }: MethodPolicy, state: ClientState): Layers {
  const access = contract.batches?.[key];
  const definition = access && contract.definition.methods[access.method];
  if (!batch || !access || !definition) {
    state.gathering(key, undefined);
    return {};
  }
  const { clock, observer, target: name } = state.surroundings;
  const { maxSize, maxWaitMs } = resolveBatch(batch);
  const batching = new Batching<GatheredCalls>({ maxSize });
  const { closed, retryShare: share } = state;
  state.gathering(key, () => {
    for (const gathered of batching.open()) gathered.send();
  });
  const target = toMethod(contract.definition, definition);
  const report = reportTo(observer, "batch", name);
  const many = () => state.pipelines.get(access.method);
  return { batch: batchLayer({ batching, access, target, share, maxWaitMs, clock, closed, report, many }) };
}
