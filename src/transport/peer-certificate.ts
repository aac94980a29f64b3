import type { PeerCertificate as TlsCertificate } from "node:tls";
import { CredentialError } from "../core/credential-error.ts";
import type { PeerCertificate } from "../core/identity.ts";

/** Where the connection of a call lies in grpc-js, which has no public way to it. */
interface Carried {
  readonly call?: { readonly stream?: { readonly session?: TlsSession } };
  readonly stream?: { readonly session?: TlsSession };
}

interface TlsSession {
  readonly socket?: TlsSocket;
}

/** Of node:tls, as far as it is looked at; a plain socket has none of it. */
interface TlsSocket {
  readonly authorized?: boolean;
  getPeerCertificate?(): TlsCertificate;
}

/** What was found out of each connection: once, as each look at a certificate costs as much as a small call. */
const found = new WeakMap<object, () => PeerCertificate | undefined>();

/**
 * The certificate of the client at the other end of a call's connection; undefined if it showed none.
 *
 * @param call of grpc-js's server, or what an interceptor of it is given.
 * @throws CredentialError if it showed one that none of the server's authorities signed.
 */
export function peerCertificateOf(call: object): PeerCertificate | undefined {
  const { call: inner, stream } = call as Carried;
  const session = (inner?.stream ?? stream)?.session;
  if (!session) return undefined;
  const known = found.get(session);
  if (known) return known();
  const certificate = lookAt(session.socket);
  found.set(session, certificate);
  return certificate();
}

function lookAt(socket: TlsSocket | undefined): () => PeerCertificate | undefined {
  const shown = socket?.getPeerCertificate?.();
  // Without one, Node gives an empty object.
  if (!shown?.raw) return () => undefined;
  if (socket?.authorized !== true) {
    return () => {
      throw new CredentialError("a certificate that no authority signed");
    };
  }
  const certificate = toPeerCertificate(shown);
  return () => certificate;
}

function toPeerCertificate({ subject, subjectaltname, ...shown }: TlsCertificate): PeerCertificate {
  const names = alternativeNames(subjectaltname ?? "");
  const commonName: unknown = subject?.CN;
  return {
    // One that has several is an array, and names nobody.
    commonName: typeof commonName === "string" ? commonName : undefined,
    uris: names.filter(([type]) => type === "URI").map(([, name]) => name),
    dnsNames: names.filter(([type]) => type === "DNS").map(([, name]) => name),
    thumbprint: Buffer.from(shown.fingerprint256.replaceAll(":", ""), "hex").toString("base64url"),
    serialNumber: shown.serialNumber,
    validTo: Date.parse(shown.valid_to),
  };
}

/** `URI:spiffe://a/b, DNS:"with, comma"`: Node puts in quotes, as JSON does, what could be taken for another name. */
export function alternativeNames(text: string): (readonly [type: string, name: string])[] {
  const entries = text.matchAll(/(?:^|, )([A-Za-z ]+):("(?:[^"\\]|\\.)*"|[^,]*)(?=, |$)/g);
  return [...entries].map(([, type = "", name = ""]) => [type, name.startsWith('"') ? JSON.parse(name) : name]);
}
