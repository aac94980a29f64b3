import type { Server, Socket } from "node:net";
import type { Filled } from "../core/check-options.ts";
import { peerIdentity } from "../core/identity.ts";
import { peerNetworkKey } from "../core/peer-network.ts";
import type { ServerLimits } from "./server-limits.ts";

/**
 * Keeps a listening server's connections within their limits. One too many is closed before anything is read from it,
 * the client's hello for TLS included.
 *
 * Peers are told apart by their addresses, those of IPv6 by the first 64 bits. On a socket file there are none, so `maxConnectionsPerPeer` counts nobody
 * there: all clients of the machine would be one.
 */
export function limitConnections(
  server: Server,
  { maxConnections, maxConnectionsPerPeer }: Filled<Pick<ServerLimits, "maxConnections" | "maxConnectionsPerPeer">>,
): void {
  if (maxConnections !== Number.POSITIVE_INFINITY) server.maxConnections = maxConnections;
  if (maxConnectionsPerPeer === Number.POSITIVE_INFINITY) return;
  const counts = new Map<string, number>();
  server.on("connection", (socket: Socket) => {
    // Nor has a client an address that has left already.
    if (socket.remoteAddress === undefined) return;
    const peer = peerNetworkKey(peerIdentity(`${socket.remoteAddress}:0`).key);
    const count = (counts.get(peer) ?? 0) + 1;
    counts.set(peer, count);
    socket.once("close", () => {
      const left = (counts.get(peer) ?? 1) - 1;
      if (left > 0) counts.set(peer, left);
      else counts.delete(peer);
    });
    if (count > maxConnectionsPerPeer) socket.destroy();
  });
}
