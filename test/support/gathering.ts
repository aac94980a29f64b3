import { batchLayers } from "../../src/client/policy-layers/batch-layers.ts";
import type { Call } from "../../src/core/call.ts";
import { fakeClock } from "../../src/testing/index.ts";
import { itemsContract } from "./batched-items.ts";
import { aClientState } from "./client-state.ts";
import { aCall, aMethod, aReply, ScriptedUnary } from "./scripted.ts";

/** GetItem, gathered for 5 ms and up to so many calls, with the batch method's answers in the test's hands. */
export function gathering(maxSize = 3, contract = itemsContract({ maxSize, maxWaitMs: 5 })) {
  const clock = fakeClock();
  const state = aClientState({ clock });
  const layer = batchLayers(contract, "getItem", contract.methods.getItem ?? {}, state).batch;
  const many = new ScriptedUnary();
  state.pipelines.set("batchGetItems", many.handler);
  const get = layer?.unary(new ScriptedUnary().handler, aMethod());
  const call = (id: string, changes: Partial<Call> = {}) => {
    const outcome = get?.(aCall({ request: { id }, startedAt: clock.now(), ...changes })) ?? Promise.reject("no layer");
    const answer = outcome.then(({ message }) => message);
    answer.catch(() => {});
    return answer;
  };
  const reply = (...ids: string[]) => many.reply(aReply({ entries: ids.map((id) => ({ item: { id } })) }));
  return { clock, state, many, call, reply };
}
