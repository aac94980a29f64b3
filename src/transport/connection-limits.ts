import type { Server, Socket } from "node:net";
import type { Filled } from "../core/check-options.ts";
import { peerIdentity } from "../core/identity.ts";
import { peerNetworkKey } from "../core/peer-network.ts";
import type { RefusalListener } from "./refusals.ts";
import type { ServerLimits } from "./server-limits.ts";

/**
 * Keeps a listening server's connections within their limits. One too many is closed before anything is read from it,
 * the client's hello for TLS included.
 *
 * Peers are told apart by their addresses, those of IPv6 by the first 64 bits. On a socket file there are none, so `maxConnectionsPerPeer` counts nobody
 * there: all clients of the machine would be one.
 *
 * @param onRefused is told of each that is closed, and whose it is: `peer:10.0.0.7`, `peer:2001:db8:0:0::/64`.
 */
export function limitConnections(
  server: Server,
  { maxConnections, maxConnectionsPerPeer }: Filled<Pick<ServerLimits, "maxConnections" | "maxConnectionsPerPeer">>,
  onRefused: RefusalListener["onConnection"],
): void {
  if (maxConnections !== Number.POSITIVE_INFINITY) {
    server.maxConnections = maxConnections;
    server.on("drop", (dropped) => onRefused("maxConnections", peerOf(dropped?.remoteAddress)));
  }
  if (maxConnectionsPerPeer === Number.POSITIVE_INFINITY) return;
  const counts = new Map<string, number>();
  server.on("connection", (socket: Socket) => {
    // Nor has a client an address that has left already.
    const peer = peerOf(socket.remoteAddress);
    if (peer === undefined) return;
    const count = (counts.get(peer) ?? 0) + 1;
    counts.set(peer, count);
    socket.once("close", () => {
      const left = (counts.get(peer) ?? 1) - 1;
      if (left > 0) counts.set(peer, left);
      else counts.delete(peer);
    });
    if (count <= maxConnectionsPerPeer) return;
    socket.destroy();
    onRefused("maxConnectionsPerPeer", peer);
  });
}

function peerOf(address: string | undefined): string | undefined {
  return address === undefined ? undefined : peerNetworkKey(peerIdentity(`${address}:0`).key);
}
