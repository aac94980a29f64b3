import type { Metadata as GrpcMetadata, ServerUnaryCall } from "@grpc/grpc-js";
import type { Metadata } from "nice-grpc-common";
import { fromGrpcMetadata, toGrpcMetadata } from "./metadata.ts";

/** What all four shapes of a call on grpc-js's server have in common. */
export type GrpcServerCall = Pick<
  ServerUnaryCall<unknown, Uint8Array>,
  "cancelled" | "metadata" | "getDeadline" | "getPeer" | "sendMetadata"
> & { on(event: "cancelled", listener: () => void): unknown };

/** A call that arrived, as a transport tells it. Nothing is converted before it is asked for. */
export class IncomingCall {
  readonly #call: GrpcServerCall;
  #headerSent = false;

  constructor(call: GrpcServerCall) {
    this.#call = call;
  }

  /** When the client stops waiting, in milliseconds of wall time; Infinity if never. */
  get wallDeadline(): number {
    return Number(this.#call.getDeadline());
  }

  /** The client's address with its port. */
  peer(): string {
    return this.#call.getPeer();
  }

  metadata(): Metadata {
    return fromGrpcMetadata(this.#call.metadata);
  }

  /** Sends response headers; only the first time. */
  sendHeader(header: Metadata): void {
    if (this.#headerSent) return;
    this.#headerSent = true;
    this.#call.sendMetadata(toGrpcMetadata(header));
  }

  /** Calls `listener` when the client cancelled, the connection broke or the deadline passed; also after the end. */
  onCancelled(listener: () => void): void {
    if (this.#call.cancelled) listener();
    else this.#call.on("cancelled", listener);
  }
}

/** A status as grpc-js sends it. */
export interface GrpcStatus {
  readonly code: number;
  readonly details: string;
  readonly metadata: GrpcMetadata;
}
