/** What HTTP/2 forbids among the headers of a call (RFC 9113, 8.2.2), and what it and gRPC set themselves. */
const HTTP2 = new Set([
  "connection",
  "content-length",
  "content-type",
  "host",
  "http2-settings",
  "keep-alive",
  "proxy-connection",
  "te",
  "transfer-encoding",
  "upgrade",
]);

/**
 * Why an application's metadata must not have a key. Under gRPC's own prefix it may have binary values, as tracing
 * and rich errors do, and a pushback.
 *
 * @returns undefined if it may. grpc-js itself looks at the characters of keys and values.
 */
export function forbiddenKey(key: string): string | undefined {
  const name = key.toLowerCase();
  if (HTTP2.has(name) || name.startsWith(":")) return `HTTP/2 does not leave ${JSON.stringify(name)} to a call`;
  const free = name.endsWith("-bin") || name === "grpc-retry-pushback-ms";
  if (name.startsWith("grpc-") && !free) return `${JSON.stringify(name)} is gRPC's own`;
  return undefined;
}
