import type { Channel } from "@grpc/grpc-js";
import type { Call, Reply } from "../core/call.ts";
import type { Clock } from "../core/clock.ts";
import { RpcError } from "../core/errors.ts";
import type { Reason } from "../core/reasons.ts";
import { WireCall } from "./wire-call.ts";

/** An attempt with one response, unary or client-stream; once it succeeded it is the reply. */
export class ChannelReply extends WireCall implements Reply {
  #bytes: Buffer | undefined;
  #message: unknown;
  readonly #resolve: (reply: Reply) => void;
  readonly #reject: (error: unknown) => void;

  constructor(
    channel: Channel,
    clock: Clock,
    call: Call,
    resolve: (reply: Reply) => void,
    reject: (error: unknown) => void,
  ) {
    super(channel, clock, call);
    this.#resolve = resolve;
    this.#reject = reject;
    this.start();
  }

  get message(): unknown {
    return this.#message;
  }

  onReceiveMessage(bytes: Buffer): void {
    if (this.ended) return;
    if (this.#bytes !== undefined) return this.abandon(this.#error("RESPONSE_COUNT", "more than one response"));
    this.#bytes = bytes;
    // A second response, which the contract does not have, would hold up the status for ever if it were not read.
    this.read();
  }

  protected override succeed(): void {
    if (this.#bytes === undefined) return this.#reject(this.#error("RESPONSE_COUNT", "OK without a response"));
    try {
      this.#message = this.call.method.response.decode(this.#bytes);
    } catch (cause) {
      return this.#reject(this.#error("RESPONSE_NOT_DECODABLE", "the response is no such message", cause));
    }
    this.#bytes = undefined;
    this.#resolve(this);
  }

  protected override failWith(error: unknown): void {
    this.#bytes = undefined;
    this.#reject(error);
  }

  #error(reason: Reason, details: string, cause?: unknown): RpcError {
    return new RpcError({ path: this.call.method.path, reason, details, headersReceived: true, cause });
  }
}
