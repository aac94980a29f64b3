import type { Criticality } from "./criticality.ts";
import type { CursorType } from "./cursor.ts";
import { sharedBytes } from "./shared-encoding.ts";

/** What gRPC calls the four shapes of a method. */
export type MethodKind = "unary" | "server-stream" | "client-stream" | "bidi";

/** What the contract says about repeating a call: protobuf's `idempotency_level`. */
export type IdempotencyLevel = "NO_SIDE_EFFECTS" | "IDEMPOTENT" | "UNKNOWN";

/** Turns one message type into bytes and back. */
export interface Codec {
  /** Takes the message as the application wrote it, fields left out included. */
  encode(message: unknown): Uint8Array;
  decode(bytes: Uint8Array): unknown;
  /** The message as it is encoded: what was left out filled in, and what it has no field for dropped. */
  readonly complete?: ((message: unknown) => unknown) | undefined;
}

/** One method of a contract, as the pipeline sees it. */
export interface Method {
  /** `/package.Service/Method`. */
  readonly path: string;
  /** `package.Service`. */
  readonly service: string;
  /** As the contract names it: `GetOrder`. */
  readonly name: string;
  readonly kind: MethodKind;
  readonly requestStream: boolean;
  readonly responseStream: boolean;
  readonly idempotency: IdempotencyLevel;
  /** How much its calls matter whose caller does not say, where the contract says; only servers know it. */
  readonly criticality?: Criticality;
  /** The type of its positions, where the contract says that it resumes; only servers know it. */
  readonly cursorType?: CursorType;
  readonly request: Codec;
  readonly response: Codec;
}

/** The shape of a method that streams requests, responses, both or neither. */
export function methodKind(requestStream: boolean, responseStream: boolean): MethodKind {
  if (requestStream) return responseStream ? "bidi" : "client-stream";
  return responseStream ? "server-stream" : "unary";
}

/**
 * A message that is encoded already. Wherever a message is taken, this is taken too and sent as it is, so that one
 * message to many receivers is encoded once.
 */
export class EncodedMessage {
  readonly bytes: Uint8Array;

  constructor(bytes: Uint8Array) {
    this.bytes = bytes;
  }
}

/** The bytes of a message, whether it is encoded already or not; of one that many receive they are made once. */
export function encodeMessage(codec: Codec, message: unknown): Uint8Array {
  if (message instanceof EncodedMessage) return message.bytes;
  return sharedBytes(codec, message) ?? codec.encode(message);
}

/**
 * The bytes of a request.
 *
 * @throws what its encoder throws; of a request that is left out, which an encoder says nothing useful of, that.
 */
export function encodeRequest({ request: codec }: Pick<Method, "request">, request: unknown): Uint8Array {
  try {
    return encodeMessage(codec, request);
  } catch (cause) {
    throw isMissing(request) ? new TypeError(NO_REQUEST, { cause }) : cause;
  }
}

/**
 * What is not even an object, as a text that quotes nothing of it: `undefined`, `a number`.
 *
 * @returns undefined for what can be a message.
 */
export function noMessage(value: unknown): string | undefined {
  if (typeof value === "object" && value !== null) return undefined;
  return value === undefined || value === null ? String(value) : `a ${typeof value}`;
}

/** Why a call without a request cannot be made. */
export const NO_REQUEST = "there is none; a call takes a message, {} if it has nothing to say";

/** Whether an application left the request of its call out. */
export function isMissing(request: unknown): boolean {
  return request === undefined || request === null;
}
