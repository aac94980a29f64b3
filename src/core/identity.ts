/**
 * Who is calling, as far as the server knows. Whatever is shared between callers — cache, coalescing, idempotency,
 * limits — is kept apart by `key`.
 */
export interface Identity {
  /** Equal exactly when the caller is the same, such as `peer:10.0.0.7`. */
  readonly key: string;
  /** What it rests on: the address alone, until authentication says more. */
  readonly source: "peer" | "certificate" | "token";
}

/**
 * The identity of a caller of whom only the address is known: the address without its port, which changes. IPv4
 * inside IPv6, as servers that listen on both see it, is the same caller as IPv4.
 */
export function peerIdentity(peer: string): Identity {
  const address = /^\[?(.*?)\]?:\d+$/.exec(peer)?.[1] ?? peer;
  return { key: `peer:${address.replace(/^::ffff:(?=\d+\.)/i, "")}`, source: "peer" };
}
