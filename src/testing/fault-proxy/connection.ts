import { type EventEmitter, once } from "node:events";
import { connect as connectHttp2 } from "node:http2";
import { connect, type Socket } from "node:net";
import { PassThrough, type Readable } from "node:stream";
import { sleep, systemClock } from "../../core/clock.ts";
import { passages, pump } from "./bytes.ts";
import type { Address } from "./check-rules.ts";
import { Http2Link, type LinkHost, SESSION_OPTIONS } from "./http2-link.ts";
import type { ConnectionRecord, Log } from "./log.ts";
import { beginsWithPreface } from "./preface.ts";
import type { Picked } from "./rule-picker.ts";
import type { ConnectionRule } from "./rules.ts";
import type { SocketPairs } from "./socket-pairs.ts";

/** How long what is on its way to the client may take to get there before its connection goes, in milliseconds. */
const GRACE_MS = 1_000;
/** How much a client may send before the server has answered. */
const MOST_EARLY_BYTES = 1024 * 1024;

/** How a connection ends: as a process ends that closes it, or with a reset. */
export type Ending = "close" | "reset";

/** What a connection needs of the proxy. */
export interface ConnectionHost extends Pick<LinkHost, "pick"> {
  readonly target: Address;
  readonly pairs: SocketPairs;
  readonly log: Log;
  /** A connection came on which no call can be seen. */
  unseen(): void;
}

/**
 * A client's connection, and the one to the server that goes with it: when one dies, so does the other.
 *
 * Bytes go between the client's socket and a second one, and a fault of the connection is on this way. If it carries
 * HTTP/2, the second socket is one of a pair whose other end serves HTTP/2 within the process; else it is the
 * server's.
 */
export class Connection {
  readonly #client: Socket;
  readonly #host: ConnectionHost;
  readonly #record: ConnectionRecord;
  readonly #picked: Picked<ConnectionRule> | undefined;
  readonly #over = new AbortController();
  readonly #early = new PassThrough({ highWaterMark: MOST_EARLY_BYTES });
  /** What is to be closed with it. */
  readonly #sockets: Socket[] = [];
  /** The end of the pair that HTTP/2 is served on. */
  #served: Socket | undefined;
  #ending: Ending = "close";
  /** Nothing passes any more, and nobody is told. */
  #stopped = false;

  constructor(client: Socket, picked: Picked<ConnectionRule> | undefined, host: ConnectionHost) {
    this.#client = client;
    this.#picked = picked;
    this.#host = host;
    this.#record = host.log.connection();
    client.on("error", () => {});
    client.on("end", () => this.#stopped && client.destroy());
    client.on("close", (broken) => {
      this.#record.endedAt ??= host.log.now();
      if (!this.#stopped) this.sever(broken ? "reset" : "close");
    });
  }

  /** Relays until one side ends. */
  async run(): Promise<void> {
    if (this.#picked?.rule.fault === "silent") return this.#beSilent();
    const first = beginsWithPreface(this.#client);
    this.#client.pipe(this.#early);
    const server = await this.#dial();
    if (!server) return this.sever("reset");
    const isHttp2 = await Promise.race([first, happens(server, "close")]);
    if (isHttp2 === undefined) return this.sever("close");
    this.#record.protocol = isHttp2 ? "http2" : "other";
    if (isHttp2) await this.#relayHttp2(server);
    else await this.#relayBytes(server);
  }

  /** Ends it at once, on both sides. */
  sever(ending: Ending): void {
    if (this.#over.signal.aborted) return;
    this.#over.abort();
    this.#record.endedAt ??= this.#host.log.now();
    close(this.#client, ending);
    for (const socket of this.#sockets) close(socket, ending);
  }

  /** Ends it when everything that is on its way to the client is there. */
  #end(ending: Ending): void {
    if (ending === "reset") this.#ending = ending;
    this.#served?.end();
    this.#severSoon(ending);
  }

  #severSoon(ending: Ending): void {
    sleep(systemClock, GRACE_MS, this.#over.signal).then(
      () => this.#stopped || this.sever(ending),
      () => {},
    );
  }

  #beSilent(): void {
    this.#happened();
    this.#client.on("end", () => this.#client.destroy()).resume();
  }

  /** Connects to the server; undefined if it refuses. */
  async #dial(): Promise<Socket | undefined> {
    const server = connect({ ...this.#host.target, noDelay: true, allowHalfOpen: true });
    this.#own(server);
    try {
      await once(server, "connect");
      this.#record.server = "reached";
      return server;
    } catch {
      this.#record.server = "refused";
      return undefined;
    }
  }

  async #relayBytes(server: Socket): Promise<void> {
    this.#host.unseen();
    server.on("close", (broken) => this.#stopped || (broken && this.sever("reset")));
    await this.#relay(server, false);
  }

  async #relayHttp2(server: Socket): Promise<void> {
    const { host, port } = this.#host.target;
    const far = connectHttp2(`http://${host.includes(":") ? `[${host}]` : host}:${port}`, {
      ...SESSION_OPTIONS,
      createConnection: () => server,
    });
    let ending: Ending = "close";
    server.on("error", () => {
      ending = "reset";
    });
    far.on("error", () => {});
    // A server process that is gone ends its connection; HTTP/2 has no half-open one.
    server.on("end", () => server.destroy());
    // A server that accepts and says nothing is to look like one.
    const ready = happens(far, "remoteSettings").then(() => true);
    const left = this.#client.readableEnded ? undefined : happens(this.#client, "end");
    if (!(await Promise.race([ready, left, happens(far, "close")]))) return this.sever(ending);
    const [near, served] = await this.#host.pairs.make();
    this.#own(near);
    this.#own(served);
    if (far.destroyed || this.#over.signal.aborted) return this.sever(ending);
    this.#served = served;
    const { log, pick } = this.#host;
    new Http2Link(served, far, {
      now: log.now,
      pick,
      call: (method, previousAttempts) => log.call(method, this.#record.id, previousAttempts),
      end: (how) => this.#end(how === "cut" ? "reset" : how === "lost" ? ending : "close"),
    });
    await this.#relay(near, true);
  }

  /** Relays between the client and the second socket; `wholly`: when that ends, so does the connection. */
  async #relay(second: Socket, wholly: boolean): Promise<void> {
    const { signal } = this.#over;
    const way = passages(this.#picked, { clock: systemClock, signal, happened: () => this.#happened() });
    const toServer = pump(way.server(read(this.#early)), second, signal).then(() => {
      if (this.#ending === "reset" && !wholly) return this.#reset(second);
      return finish(second, signal);
    });
    const toClient = pump(way.client(read(second)), this.#client, signal).then(() => {
      if (this.#ending === "reset") return this.#reset(this.#client);
      if (wholly) this.#severSoon("close");
      return finish(this.#client, signal);
    });
    // What it fails with, the other one does too.
    toServer.catch(() => {});
    const relayed = await settled(wholly ? toClient : Promise.all([toServer, toClient]));
    if (!this.#stopped) this.sever(relayed ? "close" : this.#ending);
  }

  /** Resets the connection when a socket has sent what was written into it. */
  async #reset(socket: Socket): Promise<void> {
    this.#severSoon("reset");
    await new Promise<unknown>((resolve) => socket.write(Buffer.alloc(0), resolve));
    this.sever("reset");
  }

  #happened(): void {
    if (!this.#picked) return;
    const { rule, index } = this.#picked;
    Object.assign(this.#record, { fault: rule.fault, rule: index });
    if (rule.fault === "cut") this.#ending = "reset";
    if (rule.fault === "half-open") this.#stopped = true;
  }

  #own(socket: Socket): void {
    socket.on("error", () => {});
    if (this.#over.signal.aborted) socket.destroy();
    else this.#sockets.push(socket);
  }
}

function read(source: Readable): AsyncIterable<Buffer> {
  return { [Symbol.asyncIterator]: () => source.iterator({ destroyOnReturn: false }) };
}

async function finish(socket: Socket, signal: AbortSignal): Promise<void> {
  socket.end();
  await once(socket, "finish", { signal });
}

function close(socket: Socket, ending: Ending): void {
  // A socket that has sent its end cannot be reset any more.
  if (ending === "reset" && !socket.writableEnded && !socket.connecting) socket.resetAndDestroy();
  else socket.destroy();
}

/** Resolves when it happens, if it does. */
function happens(emitter: EventEmitter, event: string): Promise<undefined> {
  return new Promise((resolve) => emitter.once(event, () => resolve(undefined)));
}

async function settled(promise: Promise<unknown>): Promise<boolean> {
  return promise.then(
    () => true,
    () => false,
  );
}
