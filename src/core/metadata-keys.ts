/** gRFC A6: how many attempts there were before this one; absent on the first. */
export const PREVIOUS_ATTEMPTS = "grpc-previous-rpc-attempts";

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
 * @returns undefined if it may. What can be sent at all, `unsendable` knows.
 */
export function forbiddenKey(key: string): string | undefined {
  const name = key.toLowerCase();
  if (HTTP2.has(name) || name.startsWith(":")) return `HTTP/2 does not leave ${JSON.stringify(name)} to a call`;
  const free = name.endsWith("-bin") || name === "grpc-retry-pushback-ms";
  if (name.startsWith("grpc-") && !free) return `${JSON.stringify(name)} is gRPC's own`;
  return undefined;
}

/**
 * Why a key, or a value under it, cannot be sent. The value, which may be secret, is not quoted, as grpc-js and nice-grpc
 * quote it.
 *
 * @returns undefined if it can.
 */
export function unsendable(key: string, value: unknown): string | undefined {
  if (!/^[\w.-]+$/.test(key)) return 'a key has digits, letters, "_", "-" and "." alone';
  if (key.toLowerCase().endsWith("-bin")) {
    return value instanceof Uint8Array ? undefined : "a key that ends in -bin takes bytes";
  }
  if (typeof value !== "string") return "only a key that ends in -bin takes anything but text";
  return /^[ -~]*$/.test(value)
    ? undefined
    : "a text has printable ASCII alone; bytes go under a key that ends in -bin";
}

/** The sentence about it: `the trailer "x" cannot be sent: …`. */
export function cannotBeSent(what: "credential" | "metadata" | "trailer", key: string, problem: string): string {
  return `the ${what} ${JSON.stringify(key)} cannot be sent: ${problem}`;
}
