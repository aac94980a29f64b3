import type { Call, Layer } from "../../core/call.ts";
import { currentCall } from "../../core/call-context.ts";
import { show } from "../../core/check-options.ts";
import {
  CRITICALITIES,
  CRITICALITY_KEY,
  type Criticality,
  DEFAULT_CRITICALITY,
  isCriticality,
  lesser,
} from "../../core/criticality.ts";

/**
 * Says with each attempt how much its call matters: as the call says, else the client, else as much as the call being
 * served, and never more than that one. Where nobody says anything nothing is sent, and the contract holds.
 *
 * @param byClient what the client says for all of its calls.
 */
export function criticalityLayer(byClient: Criticality | undefined): Layer {
  const say = (call: Call): Call => {
    const criticality = criticalityOf(call, byClient);
    return criticality ? { ...call, headers: { ...call.headers, [CRITICALITY_KEY]: criticality } } : call;
  };
  return {
    unary: (next) => (call) => next(say(call)),
    stream: (next) => (call) => next(say(call)),
  };
}

/** @throws TypeError for metadata that is no criticality: nothing is sent then. */
function criticalityOf({ method, options, metadata }: Call, byClient: Criticality | undefined) {
  // As those send it who know nothing of the option; what is sent by this name replaces it.
  const said: unknown = options.criticality ?? metadata?.get(CRITICALITY_KEY) ?? byClient;
  if (said !== undefined && !isCriticality(said)) {
    const problem = `must be one of ${CRITICALITIES.join(", ")}; it is ${show(said)}`;
    throw new TypeError(`${method.path}: the metadata ${CRITICALITY_KEY} ${problem}`);
  }
  const served = options.inherit === false ? undefined : currentCall();
  if (!served || said === undefined) return said ?? served?.criticality;
  return lesser(said, served.criticality ?? DEFAULT_CRITICALITY);
}
