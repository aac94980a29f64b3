import type { Metadata as GrpcMetadata } from "@grpc/grpc-js";
import type { Metadata } from "nice-grpc-common";
import type { Call, Reply } from "../core/call.ts";
import { RpcError } from "../core/errors.ts";
import type { Reason } from "../core/reasons.ts";
import { fromGrpcMetadata } from "./metadata.ts";
import { WireCall } from "./wire-call.ts";
import type { WireCalls } from "./wire-calls.ts";

/** How whoever waits for a reply hears of it. */
interface Waiter {
  resolve(reply: Reply): void;
  reject(error: unknown): void;
}

/** An attempt with one response, unary or client-stream. */
export class ChannelReply extends WireCall {
  #bytes: Buffer | undefined;
  #waiter: Waiter | undefined;

  constructor(calls: WireCalls, call: Call, waiter: Waiter) {
    super(calls, call);
    this.#waiter = waiter;
    this.start();
  }

  onReceiveMessage(bytes: Buffer): void {
    if (this.ended) return;
    if (this.#bytes !== undefined) return this.abandon(this.#error("RESPONSE_COUNT", "more than one response"));
    this.#bytes = bytes;
    // A second response, which the contract does not have, would hold up the status for ever if it were not read.
    this.read();
  }

  protected override succeed(header: GrpcMetadata | undefined, trailer: GrpcMetadata): void {
    if (this.#bytes === undefined) return this.failWith(this.#error("RESPONSE_COUNT", "OK without a response"));
    try {
      const message = this.method.response.decode(this.#bytes);
      this.#release()?.resolve(new WireReply(message, header, trailer));
    } catch (cause) {
      this.failWith(this.#error("RESPONSE_NOT_DECODABLE", "the response is no such message", cause));
    }
  }

  protected override failWith(error: unknown): void {
    this.#release()?.reject(error);
  }

  #release(): Waiter | undefined {
    const waiter = this.#waiter;
    this.#bytes = undefined;
    this.#waiter = undefined;
    return waiter;
  }

  #error(reason: Reason, details: string, cause?: unknown): RpcError {
    return new RpcError({ path: this.method.path, reason, details, headersReceived: true, cause });
  }
}

/** What came; its metadata is converted when it is read. */
class WireReply implements Reply {
  readonly message: unknown;
  readonly #header: GrpcMetadata | undefined;
  readonly #trailer: GrpcMetadata;

  constructor(message: unknown, header: GrpcMetadata | undefined, trailer: GrpcMetadata) {
    this.message = message;
    this.#header = header;
    this.#trailer = trailer;
  }

  get header(): Metadata {
    return fromGrpcMetadata(this.#header);
  }

  get trailer(): Metadata {
    return fromGrpcMetadata(this.#trailer);
  }
}
