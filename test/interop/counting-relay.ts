import { type AddressInfo, connect, createServer, type Socket } from "node:net";

/** Passes connections on to a port of this machine, and counts the bytes on them. */
export interface CountingRelay extends AsyncDisposable {
  readonly port: number;
  /** How many bytes clients have sent so far. */
  readonly up: number;
  /** How many bytes the server has sent so far. */
  readonly down: number;
}

/** Opens a relay in front of a port. */
export async function countingRelay(target: number): Promise<CountingRelay> {
  const bytes = { up: 0, down: 0 };
  const sockets = new Set<Socket>();
  const relay = createServer((client) => {
    const server = connect(target, "127.0.0.1");
    for (const socket of [client, server]) sockets.add(socket.on("error", () => {}));
    client.on("data", ({ byteLength }) => {
      bytes.up += byteLength;
    });
    server.on("data", ({ byteLength }) => {
      bytes.down += byteLength;
    });
    client.pipe(server).pipe(client);
  });
  await new Promise<void>((resolve) => relay.listen(0, "127.0.0.1", resolve));
  return {
    port: (relay.address() as AddressInfo).port,
    get up() {
      return bytes.up;
    },
    get down() {
      return bytes.down;
    },
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => relay.close(resolve));
    },
  };
}
