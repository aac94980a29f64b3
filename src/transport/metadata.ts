import { Metadata as GrpcMetadata } from "@grpc/grpc-js";
import { Metadata } from "nice-grpc-common";

/** Metadata as grpc-js sends it; one value per header of `headers` besides. */
export function toGrpcMetadata(
  metadata: Metadata | undefined,
  headers?: Readonly<Record<string, string>>,
): GrpcMetadata {
  const result = new GrpcMetadata();
  if (metadata) {
    for (const [key, values] of metadata) {
      for (const value of values) result.add(key, typeof value === "string" ? value : asBuffer(value));
    }
  }
  if (headers) for (const [key, value] of Object.entries(headers)) result.set(key, value);
  return result;
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
