import type { IncomingHttpHeaders, ServerHttp2Stream } from "node:http2";
import type { Server as GrpcServer, ServerInterceptingCall, ServerInterceptor } from "@grpc/grpc-js";
import { LONGEST_32_BIT_MS } from "../core/check-options.ts";
import type { Clock } from "../core/clock.ts";
import { parseGrpcTimeout } from "../core/deadline.ts";
import type { RpcError } from "../core/errors.ts";
import { Status } from "../core/status.ts";
import { toStatus } from "./ending.ts";
import type { GrpcStatus } from "./incoming-call.ts";

/** How grpc-js's server asks whether a call is one of gRPC's, before it looks at anything else of it. */
interface Verifying {
  _verifyContentType(stream: ServerHttp2Stream, headers: IncomingHttpHeaders): boolean;
}

/** What grpc-js's call keeps to itself: no interceptor sees the call's stream, or may change its deadline. */
interface Deferrable {
  readonly stream?: ServerHttp2Stream;
  deadline: number;
}

/**
 * What a call is refused with before anything has been made for it; undefined if it is not.
 *
 * @param path the method that is called.
 * @param text what its metadata has under a key, which does not end with `-bin`.
 */
export type EarlyRefusal = (path: string, text: (key: string) => string | undefined) => RpcError | undefined;

/** `application/grpc` alone, or with what the messages are encoded in. Other names that begin so are other protocols'. */
const CONTENT_TYPE = /^application\/grpc($|[+;])/;

const MALFORMED = "malformed grpc-timeout: it takes 1 to 8 digits and one of H, M, S, m, u, n";

/**
 * Reads those headers of calls that grpc-js takes too generously: it serves gRPC-Web as gRPC, finds a timeout anywhere
 * in what is none, and answers DEADLINE_EXCEEDED at once where a timeout has more milliseconds than 32 bits hold.
 */
export class CallHeaders {
  readonly #clock: Clock;
  /** When calls end whose timeout grpc-js cannot keep, in milliseconds of wall time. */
  readonly #distant = new WeakMap<ServerHttp2Stream, number>();

  readonly #refusal: EarlyRefusal;

  constructor(clock: Clock, refusal: EarlyRefusal) {
    this.#clock = clock;
    this.#refusal = refusal;
  }

  /**
   * Has a server refuse what is no call of gRPC's: with 415, as grpc-js does; with INTERNAL for a malformed timeout, as
   * grpc-go does.
   *
   * @throws TypeError if this version of grpc-js looks at calls in another way.
   */
  verify(server: GrpcServer): void {
    const verifying = server as unknown as Verifying;
    const verifyContentType = verifying._verifyContentType;
    if (typeof verifyContentType !== "function") {
      throw new TypeError("this version of grpc-js does not let the headers of calls be verified");
    }
    verifying._verifyContentType = (stream, headers) => {
      const type = headers["content-type"] ?? "";
      // It answers what it is not given, too.
      if (!verifyContentType.call(server, stream, CONTENT_TYPE.test(type) ? headers : {})) return false;
      return this.#takeTimeout(stream, headers) && !this.#isRefused(stream, headers);
    };
  }

  /** Gives a call the deadline that was taken out of its headers. */
  readonly interceptor: ServerInterceptor = (_method, call) => {
    const deferrable = call as unknown as Deferrable;
    const deadline = deferrable.stream && this.#distant.get(deferrable.stream);
    if (deadline !== undefined) {
      deferrable.deadline = deadline;
      const status = { code: Status.DEADLINE_EXCEEDED, details: "Deadline exceeded" };
      const expire = () => call.sendStatus(status);
      const timer = this.#clock.setTimer(deadline - this.#clock.wallTime(), expire);
      deferrable.stream?.once("close", () => timer.cancel());
    }
    return call as ServerInterceptingCall;
  };

  #isRefused(stream: ServerHttp2Stream, headers: IncomingHttpHeaders): boolean {
    const text = (key: string) => headers[key]?.toString();
    const error = this.#refusal(headers[":path"] ?? "", text);
    if (error) refuse(stream, toStatus(error, undefined));
    return error !== undefined;
  }

  /** Leaves to grpc-js what it can keep. */
  #takeTimeout(stream: ServerHttp2Stream, headers: IncomingHttpHeaders): boolean {
    const header = headers["grpc-timeout"];
    if (header === undefined) return true;
    const timeoutMs = parseGrpcTimeout(String(header));
    if (timeoutMs === undefined) {
      refuse(stream, { code: Status.INTERNAL, details: MALFORMED });
      return false;
    }
    if (timeoutMs > LONGEST_32_BIT_MS) {
      delete headers["grpc-timeout"];
      this.#distant.set(stream, this.#clock.wallTime() + timeoutMs);
    }
    return true;
  }
}

type Refusal = Pick<GrpcStatus, "code" | "details"> & Partial<GrpcStatus>;

/** Answers before there is a call of grpc-js's. */
function refuse(stream: ServerHttp2Stream, { code, details, metadata }: Refusal): void {
  const status = { "grpc-status": code, "grpc-message": encodeURI(details) };
  const headers = {
    ":status": 200,
    "content-type": "application/grpc+proto",
    ...metadata?.toHttp2Headers(),
    ...status,
  };
  stream.respond(headers, { endStream: true });
  // What else comes is dropped, as grpc-js does: it would hold the stream open otherwise.
  stream.resume();
}
