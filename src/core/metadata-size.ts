/** What HTTP/2 counts for a field besides its name and value (RFC 9113, 6.5.2). */
export const FIELD_OVERHEAD = 32;

/**
 * The most metadata that a call sends at a time, in bytes as HTTP/2 counts them: its request's, its header's, or its
 * trailer's. grpc-js lifts nghttp2's limit for what is sent; nghttp2 where it is received, in Node and elsewhere, takes
 * a field of 64 KiB (NGHTTP2_HD_MAX_NV) and eight frames of 16 KiB after the first, and ends the connection over more,
 * with every call on it. Of what is below that, Node refuses 65,535 bytes as they are counted here, for the call alone.
 * 8 KiB are left for gRPC's own fields: a path, or the text of a status.
 */
export const MOST_METADATA_BYTES = 56 * 1024;

/** Metadata as it is walked through: the values of each key. */
export type MetadataEntries = Iterable<readonly [string, readonly (string | Uint8Array)[]]>;

/** How large a field is, in bytes as HTTP/2 counts them; bytes travel as base64. */
export function fieldBytes(key: string, value: string | Uint8Array): number {
  const length = typeof value === "string" ? value.length : Math.ceil(value.length / 3) * 4;
  return key.length + length + FIELD_OVERHEAD;
}

/** How large metadata is, in bytes as HTTP/2 counts them. */
export function metadataBytes(metadata: MetadataEntries): number {
  let bytes = 0;
  for (const [key, values] of metadata) for (const value of values) bytes += fieldBytes(key, value);
  return bytes;
}

/**
 * Why metadata of this size cannot be sent; what it is made of, which may be secret, is not quoted.
 *
 * @param bytes as `metadataBytes` and `fieldBytes` have it.
 * @param most how many can be. Default: 56 KiB.
 * @returns undefined if it can.
 */
export function tooLarge(bytes: number, most = MOST_METADATA_BYTES): string | undefined {
  return bytes > most
    ? `${bytes} bytes of it, as HTTP/2 counts them, are more than the ${most} that can be`
    : undefined;
}
