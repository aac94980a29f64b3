import type { Call } from "../../core/call.ts";
import { EncodedMessage, encodeMessage } from "../../core/method.ts";
import { sharesNothing } from "../credentials/call-credentials.ts";

/** What an answer may be shared by: calls with equal keys ask for the same, and on behalf of the same. */
export interface ShareKey {
  /** Partition, metadata and request, nothing of them cut or hashed. */
  readonly text: string;
  /** The request as it was when it was called: an application may change its own while the call is under way. */
  request(): unknown;
}

/** The key of a call; undefined for one that shares with nobody. */
export type KeyOf = (call: Call) => ShareKey | undefined;

/**
 * The key of a call on a method whose answers are shared.
 *
 * @param partition whom the client calls for, unless the call says it.
 * @param known the call options that every layer knows. Others belong to middlewares, and may mean anything: such calls
 *   share with nobody.
 * @returns undefined for a call that shares with nobody.
 */
export function shareKeyOf(call: Call, partition: string, known: Readonly<Record<string, true>>): ShareKey | undefined {
  const { method, options, request } = call;
  const whom = options.partition ?? partition;
  if (sharesNothing(call)) return undefined;
  if (!Object.keys(options).every((name) => Object.hasOwn(known, name))) return undefined;
  const bytes = encoded(call);
  if (!bytes) return undefined;
  // JSON has no line break of its own, so that one part never reads as another.
  const text = `${JSON.stringify([whom, ...metadataEntries(call.metadata)])}\n${latin1(bytes)}`;
  return { text, request: () => (request instanceof EncodedMessage ? request : method.request.decode(bytes)) };
}

/** A request that cannot be encoded is for the attempt to complain of. */
function encoded({ method, request }: Call): Uint8Array | undefined {
  try {
    return encodeMessage(method.request, request);
  } catch {
    return undefined;
  }
}

/** What the application sends besides, in any order: it may say who is calling. */
export function metadataEntries(metadata: Call["metadata"]): unknown[] {
  if (!metadata) return [];
  const entries = [...metadata].map(([key, values]) => [key, ...values.map(textOf)]);
  return entries.toSorted(([a], [b]) => (String(a) < String(b) ? -1 : 1));
}

function textOf(value: string | Uint8Array): unknown {
  return typeof value === "string" ? value : [latin1(value)];
}

/** A character for each byte, so that different bytes are different texts. */
function latin1(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString("latin1");
}
