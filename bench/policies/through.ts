import type { Layers } from "../../src/client/pipeline.ts";
import type { Call, Reply, UnaryHandler } from "../../src/core/call.ts";
import { systemClock } from "../../src/core/clock.ts";
import { NO_DEADLINE } from "../../src/core/deadline.ts";
import { composed, method } from "./get-order.ts";
import { reply, type Subject, request as same } from "./subject.ts";

const options = {};

/** A call of GetOrder as it enters the pipeline. */
function begin(request: object): Call {
  return {
    id: 1,
    attempt: 1,
    method,
    request,
    options,
    metadata: undefined,
    headers: undefined,
    startedAt: systemClock.now(),
    deadline: NO_DEADLINE,
    signal: undefined,
    carrier: undefined,
  };
}

/** The work, and nothing else that an attempt does. */
export async function untimed(): Promise<Reply> {
  await undefined;
  return reply;
}

/** What a call costs through these layers. @param request what it asks for. Default: each call for the same. */
export function through(
  title: string,
  layers: Layers,
  attempt: UnaryHandler,
  request: () => object = () => same,
): Subject {
  const handler = composed(layers, attempt);
  return { title, call: () => handler(begin(request())) };
}
