import type { Metadata as GrpcMetadata, ServerUnaryCall } from "@grpc/grpc-js";
import type { Metadata } from "nice-grpc-common";
import type { PeerCertificate } from "../core/identity.ts";
import { forbiddenKey } from "../core/metadata-keys.ts";
import { metadataBytes, tooLarge } from "../core/metadata-size.ts";
import type { TrailerInit } from "../core/sent-trailer.ts";
import { fromGrpcMetadata, toGrpcMetadata } from "./metadata.ts";
import { peerCertificateOf } from "./peer-certificate.ts";
import { type SentStatus, sentStatusOf } from "./refusals.ts";

/** What all four shapes of a call on grpc-js's server have in common. */
export type GrpcServerCall = Pick<
  ServerUnaryCall<unknown, Uint8Array>,
  "cancelled" | "metadata" | "getDeadline" | "getPeer" | "sendMetadata"
> & { on(event: "cancelled", listener: () => void): unknown; getMetricsRecorder(): object };

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

  /**
   * The client's certificate; undefined if it showed none.
   *
   * @throws CredentialError if it showed one that none of the server's authorities signed.
   */
  certificate(): PeerCertificate | undefined {
    return peerCertificateOf(this.#call);
  }

  /** A single text of its metadata; undefined if there is none, or bytes. */
  text(key: string): string | undefined {
    const [value] = this.#call.metadata.get(key);
    return typeof value === "string" ? value : undefined;
  }

  metadata(): Metadata {
    return fromGrpcMetadata(this.#call.metadata);
  }

  /**
   * Sends response headers; only the first time.
   *
   * @throws TypeError that names a key which cannot be sent, or says that it is too much; then nothing was.
   */
  sendHeader(header: Metadata): void {
    if (this.#headerSent) return;
    const metadata = toResponseMetadata(header, "header");
    this.#headerSent = true;
    this.#call.sendMetadata(metadata);
  }

  /** The status that was sent for a call that streams requests, also if not by its handler; undefined if none was. */
  get sentStatus(): SentStatus | undefined {
    return sentStatusOf(this.#call);
  }

  /** Calls `listener` when the client cancelled, the connection broke or the deadline passed; also after the end. */
  onCancelled(listener: () => void): void {
    if (this.#call.cancelled) listener();
    else this.#call.on("cancelled", listener);
  }
}

/**
 * What a handler wrote, as grpc-js sends it. Node looks at trailers when it is too late for another answer: what it
 * refuses then ends the process; and what the client's HTTP/2 refuses ends its connection.
 *
 * @param where whether it goes before the messages or after them.
 * @param besides what an error says to send in place of what was written under the same keys.
 * @throws TypeError that names a key which cannot be sent, or says that it is too much.
 */
export function toResponseMetadata(
  written: Metadata | undefined,
  where: "header" | "trailer",
  besides: TrailerInit = {},
): GrpcMetadata {
  const sent = new Map<string, readonly (string | Uint8Array)[]>(written);
  for (const [key, value] of Object.entries(besides)) sent.set(key.toLowerCase(), [value]);
  for (const key of sent.keys()) checkKey(key, where);
  const problem = tooLarge(metadataBytes(sent));
  if (problem) throw new TypeError(`the ${where} cannot be sent: ${problem}`);
  return toGrpcMetadata(sent);
}

function checkKey(key: string, where: "header" | "trailer"): void {
  const forbidden = forbiddenKey(key);
  if (forbidden) throw new TypeError(`the ${where} cannot be sent: ${forbidden}`);
}

/** A status as grpc-js sends it. */
export interface GrpcStatus {
  readonly code: number;
  readonly details: string;
  readonly metadata: GrpcMetadata;
}
