import { nextCallId } from "../../core/call-id.ts";
import { notify, type Observer } from "../../core/observer.ts";
import { statusName } from "../../core/status.ts";
import type { RefusalListener, ServerLimits } from "../../transport/index.ts";

/**
 * Tells an observer of what the transport refuses. A call is one like any other to it, which starts when it is refused:
 * what took its time before that was its way here.
 */
export function refusalsTo(
  observer: Observer,
  limits: Pick<ServerLimits, "maxConnections" | "maxConnectionsPerPeer">,
): RefusalListener {
  return {
    onRequest(method, code) {
      const call = { id: nextCallId(), method };
      notify(observer, { type: "served.started", ...call });
      notify(observer, { type: "served.ended", ...call, status: statusName(code), reason: "STATUS", durationMs: 0 });
    },
    onConnection(limit, peer) {
      const detail = { limit, most: Number(limits[limit]), ...(peer !== undefined && { peer }) };
      notify(observer, { type: "policy", policy: "connection", action: "rejected", detail });
    },
  };
}
