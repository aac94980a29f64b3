import { checkOptions, isBoolean, isFunction, type OptionCheck, show } from "../../core/check-options.ts";
import { systemClock } from "../../core/clock.ts";
import { CredentialError } from "../../core/credential-error.ts";
import type { PeerCertificate } from "../../core/identity.ts";
import type { Authenticator } from "./authenticator.ts";

/** How callers are told apart by their certificates. */
export interface MtlsOptions {
  /**
   * SPIFFE trust domains whose workloads may call, such as `shop.example`; others may not. Default: any name that an
   * authority of the server's signed.
   */
  readonly trustDomains?: readonly string[] | undefined;
  /**
   * Whether the common name will do where there are no alternative names; RFC 6125 takes it for no name any more.
   * Default: false.
   */
  readonly commonName?: boolean | undefined;
  /** What a caller may do: the scopes that the contract asks for, which certificates do not have. Default: none. */
  readonly scopes?: ((certificate: PeerCertificate, name: string) => readonly string[]) | undefined;
}

const OPTIONS: Readonly<Record<keyof MtlsOptions, OptionCheck>> = {
  trustDomains: (value) =>
    Array.isArray(value) && value.length > 0 && value.every((domain) => TRUST_DOMAIN.test(String(domain)))
      ? undefined
      : `must be an array of trust domains without spiffe://, such as shop.example; it is ${show(value)}`,
  commonName: isBoolean,
  scopes: isFunction,
};

const TRUST_DOMAIN = /^[a-z0-9._-]{1,255}$/;
/** SPIFFE-ID, 2: no port, no query, and no segment of the path that is empty or dots. */
const SPIFFE_ID = /^spiffe:\/\/([a-z0-9._-]{1,255})((?:\/(?!\.{1,2}(?:\/|$))[A-Za-z0-9._-]+)*)$/;

/**
 * Authenticates callers by the certificates of their connections: the SPIFFE ID, else the first DNS name. It takes
 * `listen(…, { tls: { cert, key, ca } })`; without `ca` no client shows one.
 *
 * @throws TypeError that lists everything that is wrong with the options.
 */
export function mtls(options: MtlsOptions = {}): Authenticator {
  const problems = checkOptions(options, OPTIONS);
  if (problems.length > 0) throw new TypeError(`mtls: ${problems.join("; ")}`);
  return ({ certificate }) => {
    if (!certificate) return undefined;
    // Connections outlive what they were opened with.
    if (certificate.validTo <= systemClock.wallTime()) throw new CredentialError("an expired certificate");
    const { kind, name } = nameOf(certificate, options);
    const scopes = options.scopes?.(certificate, name) ?? [];
    const key = kind === "spiffe" ? `certificate:${name}` : `certificate:${kind}:${name}`;
    const identity = { key, source: "certificate", subject: name, scopes, certificate } as const;
    return { identity, expiresAt: certificate.validTo };
  };
}

/** The name that a certificate's holder goes by. */
interface Name {
  readonly kind: "spiffe" | "dns" | "cn";
  readonly name: string;
}

/** @throws CredentialError if the certificate names nobody, or nobody who may call. */
function nameOf({ uris, dnsNames, commonName }: PeerCertificate, options: MtlsOptions): Name {
  const spiffe = uris.filter((uri) => uri.startsWith("spiffe:"));
  if (spiffe.length > 0) return { kind: "spiffe", name: spiffeId(uris, options.trustDomains) };
  if (options.trustDomains) throw new CredentialError("a certificate without a SPIFFE ID");
  const [dnsName] = dnsNames;
  if (dnsName !== undefined) return { kind: "dns", name: dnsName.toLowerCase() };
  if (options.commonName && commonName) return { kind: "cn", name: commonName };
  throw new CredentialError("a certificate that names nobody");
}

/** X509-SVID, 2: a certificate has one SPIFFE ID, and no other URI beside it. */
function spiffeId(uris: readonly string[], trustDomains: readonly string[] | undefined): string {
  const [id = "", ...others] = uris;
  const domain = SPIFFE_ID.exec(id)?.[1];
  if (domain === undefined || others.length > 0) throw new CredentialError("a certificate with no valid SPIFFE ID");
  if (trustDomains && !trustDomains.includes(domain)) throw new CredentialError("a SPIFFE ID of another trust domain");
  return id;
}
