import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { Socket } from "node:net";
import { systemClock } from "../../core/clock.ts";
import { warn } from "../../core/warning.ts";
import { parseProbe } from "./probe-request.ts";
import { probeJson, probeText } from "./probe-text.ts";
import type { Probes } from "./probes.ts";

/** A probe is a line and a few headers: what takes longer or more room is none. */
const LIMITS = {
  maxHeaderSize: 8_192,
  headersTimeout: 5_000,
  requestTimeout: 5_000,
  connectionsCheckingInterval: 1_000,
};

/** How many connections may be open at a time. */
const MAX_CONNECTIONS = 256;

/** How long answers that are on their way have to leave when the port closes, in milliseconds. */
const LAST_ANSWERS_MS = 100;

/** The HTTP ports on which a server is probed. */
export class AdminServer {
  readonly #probes: Probes;
  readonly #servers = new Map<Server, Promise<number>>();
  #closed = false;

  constructor(probes: Probes) {
    this.#probes = probes;
  }

  /** Binds an address; resolves with the port, 0 for a socket file. Rejects if it cannot be bound. */
  async listen(address: string): Promise<number> {
    if (this.#closed) throw new Error("the server is drained");
    const server = createServer(LIMITS, (request, response) => void this.#answer(request, response));
    boundConnections(server);
    const bound = bind(server, address);
    this.#servers.set(server, bound);
    try {
      return await bound;
    } catch (error) {
      this.#servers.delete(server);
      throw error;
    }
  }

  /** Closes every port, also those that are about to be bound. */
  async close(): Promise<void> {
    this.#closed = true;
    await Promise.allSettled(this.#servers.values());
    await Promise.all([...this.#servers.keys()].map(close));
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { method = "", url = "", headers } = request;
    const asked = parseProbe(method, url, headers.accept ?? "");
    if ("code" in asked) {
      if (asked.code === 405) response.setHeader("Allow", "GET, HEAD");
      return send(response, asked.code, "text/plain; charset=utf-8", `${asked.text}\n`);
    }
    const answer = await this.#probes.answer(asked.question);
    const code = answer.ok ? 200 : 503;
    if (asked.json) send(response, code, "application/json", probeJson(answer));
    else send(response, code, "text/plain; charset=utf-8", probeText(answer, asked.verbose));
  }
}

/** Whoever probes comes anew each time, so that nothing is kept open for it. */
function send(response: ServerResponse, code: number, type: string, text: string): void {
  response.writeHead(code, {
    "Content-Type": type,
    "Content-Length": Buffer.byteLength(text),
    "Cache-Control": "no-store",
    "X-Content-Type-Options": "nosniff",
    Connection: "close",
  });
  // Of a HEAD request Node sends the headers alone.
  response.end(text);
}

/** Where too many are open, the oldest goes: whoever holds connections and asks nothing keeps no probe out. */
function boundConnections(server: Server): void {
  const open = new Set<Socket>();
  server.on("connection", (socket: Socket) => {
    const [oldest] = open;
    if (oldest && open.size >= MAX_CONNECTIONS) {
      open.delete(oldest);
      oldest.destroy();
    }
    open.add(socket);
    socket.once("close", () => open.delete(socket));
  });
}

function bind(server: Server, address: string): Promise<number> {
  return new Promise((resolve, reject) => {
    server.once("error", reject);
    server.listen(toListen(address), () => {
      server.off("error", reject);
      server.on("error", (error) => warn("the admin port failed", error));
      const bound = server.address();
      resolve(typeof bound === "object" && bound ? bound.port : 0);
    });
  });
}

/** @param address `host:port`, `[host]:port` or `unix:/path`. */
function toListen(address: string): { path: string } | { host: string; port: number } {
  if (address.startsWith("unix:")) return { path: address.slice("unix:".length) };
  const colon = address.lastIndexOf(":");
  return { host: address.slice(0, colon).replace(/^\[(.*)\]$/, "$1"), port: Number(address.slice(colon + 1)) };
}

async function close(server: Server): Promise<void> {
  const closed = Promise.withResolvers<void>();
  server.close(() => closed.resolve());
  const timer = systemClock.setTimer(LAST_ANSWERS_MS, () => server.closeAllConnections());
  await closed.promise;
  timer.cancel();
}
