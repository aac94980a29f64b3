import { Metadata as GrpcMetadata } from "@grpc/grpc-js";
import { Metadata } from "nice-grpc-common";
import { cannotBeSent, unsendable } from "../core/metadata-keys.ts";
import { fieldBytes, type MetadataEntries, tooLarge } from "../core/metadata-size.ts";

/**
 * Metadata as grpc-js sends it; one value per header of `headers` besides.
 *
 * @throws TypeError for what cannot be sent, in words of ours: grpc-js quotes the value, which may be secret.
 */
export function toGrpcMetadata(metadata: MetadataEntries | undefined, headers?: Headers): GrpcMetadata {
  try {
    return written(metadata, headers);
  } catch {
    throw new TypeError(problemOf([...(metadata ?? []), ...Object.entries(headers ?? {})]));
  }
}

type Headers = Readonly<Record<string, string>>;

function problemOf(entries: readonly (readonly [string, unknown])[]): string {
  const problems = entries.flatMap(([key, values]) =>
    [values].flat().flatMap((value) => {
      const problem = unsendable(key, value);
      return problem ? [cannotBeSent("metadata", key, problem)] : [];
    }),
  );
  return problems[0] ?? "metadata that cannot be read";
}

function written(metadata: MetadataEntries | undefined, headers: Headers | undefined): GrpcMetadata {
  const result = new GrpcMetadata();
  if (metadata) {
    for (const [key, values] of metadata) {
      for (const value of values) result.add(key, typeof value === "string" ? value : asBuffer(value));
    }
  }
  if (headers) for (const [key, value] of Object.entries(headers)) result.set(key, value);
  return result;
}

/**
 * Why a request's metadata is too large to be sent: it would end the connection, and with it every call on it.
 *
 * @param most the option `maxMetadataBytes`, where the client has it. Default: 56 KiB.
 * @param headers are sent in place of what the metadata has under the same keys.
 * @returns undefined if it can be sent.
 */
export function sizeProblem(
  metadata: Metadata | undefined,
  most: number | undefined,
  headers?: Headers,
): string | undefined {
  if (!metadata && !headers) return undefined;
  let bytes = 0;
  for (const [key, values] of metadata ?? []) {
    if (headers && Object.hasOwn(headers, key)) continue;
    for (const value of values) bytes += fieldBytes(key, value);
  }
  for (const key in headers) bytes += fieldBytes(key, headers[key] ?? "");
  const problem = tooLarge(bytes, most);
  return problem && `the metadata cannot be sent: ${problem}${most === undefined ? "" : " (maxMetadataBytes)"}`;
}

/** Metadata as the application reads it; empty if none came. */
export function fromGrpcMetadata(metadata: GrpcMetadata | undefined): Metadata {
  const result = new Metadata();
  if (!metadata) return result;
  for (const key of Object.keys(metadata.getMap())) {
    for (const value of metadata.get(key)) result.append(key, value);
  }
  return result;
}

/** The same bytes as a `Buffer`, not copied. */
export function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
