/** What HTTP/2 forbids among the headers of a call (RFC 9113, 8.2.2), or keeps for itself. */
const HTTP2 = new Set([
  "connection",
  "host",
  "http2-settings",
  "keep-alive",
  "proxy-connection",
  "te",
  "transfer-encoding",
  "upgrade",
]);

/** What an application may say under gRPC's own prefix. */
const OURS_TO_SAY = new Set(["grpc-retry-pushback-ms", "grpc-status-details-bin"]);

/**
 * Why an application's metadata must not have a key.
 *
 * @returns undefined if it may. grpc-js itself looks at the characters of keys and values.
 */
export function forbiddenKey(key: string): string | undefined {
  const name = key.toLowerCase();
  if (HTTP2.has(name) || name.startsWith(":")) return `HTTP/2 does not allow ${JSON.stringify(name)} in a call`;
  if (name.startsWith("grpc-") && !OURS_TO_SAY.has(name)) return `${JSON.stringify(name)} is gRPC's own`;
  return undefined;
}
