import type { Contract } from "../../contract/contract.ts";
import { resolveStall } from "../../contract/resolve.ts";
import { giveSignal } from "../../core/call-context.ts";
import type { Clock } from "../../core/clock.ts";
import type { ServerLayer } from "../../core/served-call.ts";
import { methodsOf } from "../contract-methods.ts";
import { withHeartbeats } from "../heartbeat-stream.ts";

/** What protobuf makes the empty message of. */
const NOTHING = new Uint8Array();

/** Sends a sign of life whenever a handler has had nothing to say for an interval (rule S6). */
export function heartbeatLayer(contract: Contract, clock: Clock): ServerLayer {
  const marked = markedMethods(contract);
  return {
    unary: (next) => next,
    stream: (next, method) => {
      const found = marked.get(method.path);
      if (!found) return next;
      const { field, intervalMs } = found;
      // A new one each time: what middlewares do to one is not done to others.
      const message = () => Object.assign(method.response.decode(NOTHING) as object, { [field]: true });
      const heartbeats = { clock, intervalMs, message };
      return (request, context) =>
        withHeartbeats(context.signal, heartbeats, (signal) => next(request, giveSignal(context, signal)));
    },
  };
}

/** The contract's streams with heartbeats, by path. */
function markedMethods(contract: Contract) {
  const { heartbeats = {} } = contract;
  const entries = methodsOf(contract).flatMap(({ key, method, policy }) => {
    const access = Object.hasOwn(heartbeats, key) ? heartbeats[key] : undefined;
    if (!access || !method.responseStream) return [];
    const { intervalMs } = resolveStall(policy.heartbeat ?? {});
    return [[method.path, { field: access.field, intervalMs }] as const];
  });
  return new Map(entries);
}
