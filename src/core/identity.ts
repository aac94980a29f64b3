/**
 * Who is calling, as far as the server knows. Whatever is shared between callers — cache, coalescing, idempotency,
 * limits — is kept apart by `key`.
 */
export interface Identity {
  /**
   * Equal exactly when the caller is the same: `peer:10.0.0.7`, `token:https://id.example|u-1`,
   * `certificate:spiffe://shop/orders`.
   */
  readonly key: string;
  /** What it rests on: the address alone, until authentication says more. */
  readonly source: "peer" | "certificate" | "token";
  /** Who it is by name: a token's subject, a certificate's. Absent for a peer. */
  readonly subject?: string;
  /** Who says so: a token's issuer. Absent otherwise. */
  readonly issuer?: string;
  /** What the caller is allowed, which the contract's `auth.scopes` are compared with. Default: nothing. */
  readonly scopes?: readonly string[];
  /** All that the token says. Absent without one. */
  readonly claims?: Readonly<Record<string, unknown>>;
  /** The client's certificate, verified. Absent without one, and where nothing asked for it. */
  readonly certificate?: PeerCertificate;
}

/** What a verified client certificate says. */
export interface PeerCertificate {
  /** The subject's common name; RFC 6125 takes it for no name of a service any more. */
  readonly commonName: string | undefined;
  /** URIs among its alternative names, such as a SPIFFE ID. */
  readonly uris: readonly string[];
  /** DNS names among its alternative names. */
  readonly dnsNames: readonly string[];
  /** SHA-256 of the certificate: base64url without padding, as RFC 8705 binds tokens to it. */
  readonly thumbprint: string;
  /** As the authority numbered it, in hexadecimal digits. */
  readonly serialNumber: string;
  /** When it ends, in milliseconds of wall time. */
  readonly validTo: number;
}

/**
 * The identity of a caller of whom only the address is known: the address without its port, which changes. IPv4
 * inside IPv6, as servers that listen on both see it, is the same caller as IPv4.
 */
export function peerIdentity(peer: string): Identity {
  const address = /^\[?(.*?)\]?:\d+$/.exec(peer)?.[1] ?? peer;
  return { key: `peer:${address.replace(/^::ffff:(?=\d+\.)/i, "")}`, source: "peer" };
}

/**
 * The key of a caller whom a token names. No two issuers' subjects have the same: what separates the two is escaped in
 * both.
 */
export function tokenKey(issuer: string, subject: string): string {
  return `token:${escapePart(issuer)}|${escapePart(subject)}`;
}

function escapePart(text: string): string {
  return text.replaceAll("%", "%25").replaceAll("|", "%7C");
}
