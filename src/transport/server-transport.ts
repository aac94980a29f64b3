import type { Server as HttpServer } from "node:net";
import {
  Server as GrpcServer,
  ServerCredentials,
  type ServerDuplexStream,
  type ServerOptions,
  type ServerReadableStream,
  type ServerUnaryCall,
  type sendUnaryData,
} from "@grpc/grpc-js";
import { type Filled, LONGEST_32_BIT_MS } from "../core/check-options.ts";
import { type Clock, systemClock } from "../core/clock.ts";
import type { RpcError } from "../core/errors.ts";
import type { Method } from "../core/method.ts";
import { CallHeaders, type EarlyRefusal } from "./call-headers.ts";
import { limitConnections } from "./connection-limits.ts";
import { type Ending, sendOrFail, toStatus } from "./ending.ts";
import { IncomingCall, toResponseMetadata } from "./incoming-call.ts";
import { asBuffer } from "./metadata.ts";
import { keepStatus, type RefusalListener, tellRefused } from "./refusals.ts";
import { GrpcSink, type GrpcStreamCall, type ResponseSink } from "./response-sink.ts";
import { acknowledgeEarly, refuseCutRequests } from "./server-interceptors.ts";
import { type ServerLimits, toGrpcLimits, toHttp2Limits } from "./server-limits.ts";
import { answerUnknown } from "./unknown-methods.ts";

/** How a call with one response is answered. */
export interface Answer extends Ending {
  /** The response, unless there is an error. */
  readonly response?: Uint8Array;
}

/**
 * Answers a call; the first answer counts, further ones go nowhere.
 *
 * @returns the error that the client was told: INTERNAL where the answer cannot be sent, unless the error is our own.
 */
export type Respond = (answer: Answer) => RpcError | undefined;

/** Serves a method with one response. */
export type UnaryServer = (call: IncomingCall, request: unknown, respond: Respond) => void;

/** Serves a method with a stream of responses; what goes wrong goes to the sink. */
export type StreamServer = (call: IncomingCall, request: unknown, sink: ResponseSink) => void;

/** Is told why an answer could not be sent; the client was told INTERNAL, or our own error without what was written. */
export type Unsendable = (error: unknown, method: Method, call: IncomingCall) => void;

/** TLS of a server; PEM texts. */
export interface ServerTls {
  /** The server's certificate chain. */
  readonly cert: string | Uint8Array;
  /** The server's private key. */
  readonly key: string | Uint8Array;
  /** Authorities of client certificates: with it, a client without a valid certificate is refused (mTLS). */
  readonly ca?: string | Uint8Array | undefined;
  /**
   * Whether a client without a valid certificate can connect, with `ca`: `requested` leaves it to `authenticate` who may
   * call, where some clients have certificates and others tokens. Default: `required`.
   */
  readonly clientCertificate?: "required" | "requested" | undefined;
}

/** grpc-js's server, with plain functions for handlers. */
export class ServerTransport {
  readonly #server: GrpcServer;
  readonly #unsendable: Unsendable;
  readonly #limits: Filled<ServerLimits>;
  readonly #bound: string[] = [];
  #earlyRefusal: EarlyRefusal | undefined;
  #refusals: RefusalListener | undefined;
  /** The paths of the methods that were added. */
  readonly #paths = new Set<string>();
  /** The listening servers whose connections are limited. */
  readonly #limited = new Set<HttpServer>();

  constructor(
    limits: Filled<ServerLimits>,
    channelOptions: Readonly<Record<string, unknown>> | undefined,
    unsendable: Unsendable,
    clock: Clock = systemClock,
  ) {
    this.#unsendable = unsendable;
    this.#limits = limits;
    const { interceptors = [], ...further } = (channelOptions ?? {}) as ServerOptions;
    const headers = new CallHeaders(clock, (path, text) => this.#earlyRefusal?.(path, text));
    this.#server = new GrpcServer({
      ...toGrpcLimits(limits),
      "grpc.enable_channelz": 0,
      ...further,
      interceptors: [
        headers.interceptor,
        acknowledgeEarly,
        refuseCutRequests,
        keepStatus,
        tellRefused((path) => (this.#refusals && this.#paths.has(path) ? this.#refusals : undefined)),
        ...interceptors,
      ],
    });
    headers.verify(this.#server);
    // There is no public way to hand grpc-js options for Node's HTTP/2 server.
    const { commonServerOptions } = this.#server as unknown as { commonServerOptions: { settings?: object } };
    Object.assign(commonServerOptions, toHttp2Limits(limits, commonServerOptions.settings));
  }

  /** Has calls refused by their headers alone. */
  refuseEarly(refusal: EarlyRefusal): void {
    this.#earlyRefusal = refusal;
  }

  /** Has somebody told of what is refused before a handler hears of it; of methods, of those alone that were added. */
  tellRefusals(listener: RefusalListener): void {
    this.#refusals = listener;
  }

  addUnary(method: Method, serve: UnaryServer): void {
    this.#register(method, this.#unaryHandle(method, serve), method.requestStream ? "clientStream" : "unary");
  }

  /**
   * Has calls of methods that were not added answered too; grpc-js answers them UNIMPLEMENTED by itself.
   *
   * @param find a method of the path that was called, with one request and one response, and what serves it.
   */
  serveUnknown(find: (path: string) => { readonly method: Method; readonly serve: UnaryServer }): void {
    answerUnknown(this.#server, (path) => {
      const { method, serve } = find(path);
      return { ...codecsOf(method), func: this.#unaryHandle(method, serve), path, type: "unary" };
    });
  }

  #unaryHandle(method: Method, serve: UnaryServer) {
    return (call: GrpcUnaryCall, callback: sendUnaryData<Uint8Array>) => {
      const request = "request" in call ? call.request : requestsOf(call);
      const incoming = new IncomingCall(call);
      const send = ({ response, error, trailer }: Answer) => {
        if (error) callback(toStatus(error, trailer));
        else callback(null, response, trailer && toResponseMetadata(trailer, "trailer"));
      };
      let answered = false;
      serve(incoming, request, (answer) => {
        if (answered) return answer.error;
        answered = true;
        return sendOrFail(send, answer, (error) => this.#unsendable(error, method, incoming));
      });
    };
  }

  addStream(method: Method, serve: StreamServer): void {
    const handle = (call: GrpcStreamCall) => {
      const request = "request" in call ? call.request : requestsOf(call);
      const incoming = new IncomingCall(call);
      serve(incoming, request, new GrpcSink(call, (error) => this.#unsendable(error, method, incoming)));
    };
    this.#register(method, handle, method.requestStream ? "bidi" : "serverStream");
  }

  /** Binds an address and begins to serve; resolves with the port. Rejects if the address cannot be bound. */
  listen(address: string, tls: ServerTls | undefined): Promise<number> {
    return new Promise((resolve, reject) => {
      this.#server.bindAsync(address, credentials(tls), (error, port) => {
        if (error) return reject(unbound(address, error));
        this.#bound.push(address.replace(/:0$/, `:${port}`));
        this.#limitConnections();
        resolve(port);
      });
    });
  }

  /**
   * Takes no new connections and streams; resolves when the last connection is gone. Connections that are still there
   * after `graceMs` are broken off.
   */
  shutdown(graceMs: number): Promise<void> {
    // forceShutdown breaks connections off only where channelz, which costs every call, is on; drain always does, if
    // it comes before tryShutdown.
    for (const address of this.#bound) this.#server.drain(address, Math.min(graceMs, LONGEST_32_BIT_MS));
    return new Promise((resolve) => this.#server.tryShutdown(() => resolve()));
  }

  #limitConnections(): void {
    // Nor a way to Node's servers themselves.
    const { http2Servers } = this.#server as unknown as { http2Servers: ReadonlyMap<HttpServer, unknown> };
    for (const server of http2Servers.keys()) {
      if (this.#limited.has(server)) continue;
      limitConnections(server, this.#limits, (limit, peer) => this.#refusals?.onConnection(limit, peer));
      this.#limited.add(server);
    }
  }

  #register(method: Method, handle: unknown, type: string): void {
    const { serialize, deserialize } = codecsOf(method);
    const added = this.#server.register(method.path, handle as never, serialize, deserialize, type);
    if (!added) throw new TypeError(`${method.path} is served already`);
    this.#paths.add(method.path);
  }
}

/** What keeps an address from being bound, out of grpc-js's text about all that its name stands for. */
function unbound(address: string, cause: Error): Error {
  const [, why = cause.message] = /\[(?:(?:listen|bind) )?([^\]]+)\]$/.exec(cause.message) ?? [];
  return new Error(`cannot listen on ${address}: ${why.replace(` ${address}`, "")}`, { cause });
}

/** Handlers' answers are encoded before they come here, where an error can still be told apart and logged. */
function codecsOf(method: Method) {
  return {
    serialize: (bytes: Uint8Array) => asBuffer(bytes),
    deserialize: (bytes: Buffer) => method.request.decode(bytes),
  };
}

type GrpcUnaryCall = ServerUnaryCall<unknown, Uint8Array> | ServerReadableStream<unknown, Uint8Array>;

/** The messages that a client streams. A handler that stops reading does not take the responses down with it. */
function requestsOf(
  call: ServerReadableStream<unknown, Uint8Array> | ServerDuplexStream<unknown, Uint8Array>,
): AsyncIterable<unknown> {
  return call.iterator({ destroyOnReturn: false });
}

function credentials(tls: ServerTls | undefined): ServerCredentials {
  if (!tls) return ServerCredentials.createInsecure();
  const pair = { private_key: Buffer.from(tls.key), cert_chain: Buffer.from(tls.cert) };
  const created = ServerCredentials.createSsl(tls.ca ? Buffer.from(tls.ca) : null, [pair], tls.ca !== undefined);
  if (tls.clientCertificate === "requested") acceptWithout(created);
  return created;
}

/** grpc-js refuses every connection without a valid certificate, and has no option for anything else. */
function acceptWithout(created: ServerCredentials): void {
  Object.assign(created._getConstructorOptions() ?? {}, { rejectUnauthorized: false });
}
