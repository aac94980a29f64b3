import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Server, type Socket } from "node:net";

/**
 * Makes pairs of sockets within the process: what is written into one comes out of the other. They are real TCP
 * sockets, since these are what node:http2 runs on best.
 */
export class SocketPairs {
  readonly #server: Server;
  /** The accepted ends by the port of their other end; the two may turn up in either order. */
  readonly #accepted = new Map<number, PromiseWithResolvers<Socket>>();

  private constructor(server: Server) {
    this.#server = server;
    server.on("connection", (socket) => {
      socket.on("error", () => {});
      this.#end(socket.remotePort ?? 0).resolve(socket);
    });
  }

  static async listen(): Promise<SocketPairs> {
    const server = createServer({ noDelay: true }).listen(0, "127.0.0.1");
    await once(server, "listening");
    return new SocketPairs(server);
  }

  /** @throws whatever keeps the two from being connected. */
  async make(): Promise<readonly [Socket, Socket]> {
    const { port } = this.#server.address() as AddressInfo;
    const near = connect({ port, host: "127.0.0.1", noDelay: true, allowHalfOpen: true });
    near.on("error", () => {});
    await once(near, "connect");
    const nearPort = near.localPort ?? 0;
    const far = await this.#end(nearPort).promise;
    this.#accepted.delete(nearPort);
    return [near, far];
  }

  #end(port: number): PromiseWithResolvers<Socket> {
    const known = this.#accepted.get(port) ?? Promise.withResolvers<Socket>();
    this.#accepted.set(port, known);
    return known;
  }
}
