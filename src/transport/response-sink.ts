import type { ServerDuplexStream, ServerWritableStream } from "@grpc/grpc-js";
import type { RpcError } from "../core/errors.ts";
import { type Ending, sendOrFail, toStatus } from "./ending.ts";
import { toResponseMetadata } from "./incoming-call.ts";
import { asBuffer } from "./metadata.ts";
import { type Outflow, outflowOf } from "./outflow.ts";

/** Where the responses of a stream go. */
export interface ResponseSink {
  /** Sends one response; returns what to wait for if there is no room for another. Never rejects. */
  write(response: Uint8Array): Promise<void> | undefined;
  /**
   * Ends the stream, after all that was written. Only the first time counts; later writes go nowhere.
   *
   * @returns the error that the client was told: INTERNAL where the ending cannot be sent, unless the error is our own.
   */
  end(ending: Ending): RpcError | undefined;
}

/** A call with a stream of responses, as grpc-js's server has it. */
export type GrpcStreamCall = ServerWritableStream<unknown, Uint8Array> | ServerDuplexStream<unknown, Uint8Array>;

/** Sends a stream's responses; there is room until as many wait as `STREAM_BUFFER_BYTES` says. */
export class GrpcSink implements ResponseSink {
  readonly #call: GrpcStreamCall;
  readonly #outflow: Outflow;
  readonly #unsendable: (error: unknown) => void;
  #ended = false;
  #roomAgain: (() => void) | undefined;

  constructor(call: GrpcStreamCall, unsendable: (error: unknown) => void) {
    this.#call = call;
    this.#unsendable = unsendable;
    this.#outflow = outflowOf(call);
    this.#outflow.listen({ onRoom: () => this.#onRoom(), onOver: () => this.#onOver() });
    call.on("drain", () => this.#onRoom());
    call.on("cancelled", () => {
      this.#ended = true;
      this.#resume();
    });
  }

  write(response: Uint8Array): Promise<void> | undefined {
    if (this.#ended) return undefined;
    const taken = this.#call.write(asBuffer(response));
    if (this.#ended || (taken && !this.#outflow.full)) return undefined;
    return new Promise((resolve) => {
      this.#roomAgain = resolve;
    });
  }

  end(ending: Ending): RpcError | undefined {
    if (this.#ended) return ending.error;
    this.#ended = true;
    this.#resume();
    return sendOrFail((one) => this.#send(one), ending, this.#unsendable);
  }

  #send({ error, trailer }: Ending): void {
    // grpc-js takes a stream's status as an `error` event, and sends it after what was written.
    if (error) this.#call.emit("error", toStatus(error, trailer));
    else this.#call.end(trailer && toResponseMetadata(trailer, "trailer"));
  }

  /**
   * The deadline passed, or a message is larger than may be sent: grpc-js would cancel the call only once its client
   * has read all that waits, which one that has stopped reading never does.
   */
  #onOver(): void {
    if (!this.#ended) this.#call.emit("cancelled", "cancelled");
  }

  #onRoom(): void {
    // An interceptor may hold messages back before they are counted; then it is the stream that is full.
    if (!this.#outflow.full && !this.#call.writableNeedDrain) this.#resume();
  }

  #resume(): void {
    this.#roomAgain?.();
    this.#roomAgain = undefined;
  }
}
