import { Server, Socket } from "node:net";
import { expect, test, vi } from "vitest";
import { limitConnections } from "../../../src/transport/connection-limits.ts";

/** A connection that has come from an address. */
function arriveFrom(server: Server, remoteAddress: string): Socket {
  const socket = new Socket();
  Object.defineProperty(socket, "remoteAddress", { value: remoteAddress });
  server.emit("connection", socket);
  return socket;
}

test("connections of one network of IPv6 are those of one peer, and those of another are not", () => {
  const server = new Server();
  const onRefused = vi.fn();
  limitConnections(server, { maxConnections: 10, maxConnectionsPerPeer: 2 }, onRefused);
  const destroyed = ["2001:db8::1", "2001:db8::2", "2001:db8::3", "2001:db8:0:1::3", "10.0.0.1", "::ffff:10.0.0.1"].map(
    (address) => arriveFrom(server, address).destroyed,
  );
  expect(destroyed).toEqual([false, false, true, false, false, false]);
  expect(arriveFrom(server, "10.0.0.1").destroyed).toBe(true);
  expect(onRefused.mock.calls).toEqual([
    ["maxConnectionsPerPeer", "peer:2001:db8:0:0::/64"],
    ["maxConnectionsPerPeer", "peer:10.0.0.1"],
  ]);
});
