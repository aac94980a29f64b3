import type { ServerInterceptingCall, ServerInterceptor } from "@grpc/grpc-js";
import type { Metadata } from "nice-grpc-common";
import type { PeerCertificate } from "../core/identity.ts";
import { systemRandom } from "../core/random.ts";
import { peerCertificateOf } from "./peer-certificate.ts";

/** The metadata key under which `serverMiddleware` is told where a call's certificate is kept. */
const CERTIFICATE_KEY = "bowline-certificate";

/**
 * Certificates of calls that no middleware has taken yet. What is handed on is a ticket and not the certificate, which
 * a client could write into its metadata as well. A call of another service's never takes its own: the oldest go.
 */
const kept = new Map<string, () => PeerCertificate | undefined>();
const MOST_KEPT = 10_000;

/**
 * Lets `serverMiddleware` see clients' certificates, for `mtls()`: `createServer({ interceptors:
 * [certificateInterceptor] })` with nice-grpc's own `createServer`, which hides them.
 */
export const certificateInterceptor: ServerInterceptor = (_method, call) => {
  const start = call.start;
  call.start = (listener) => {
    const receive = listener.onReceiveMetadata;
    listener.onReceiveMetadata = (metadata) => {
      // Set over what the client sent under this name.
      metadata.set(
        CERTIFICATE_KEY,
        keep(() => peerCertificateOf(call)),
      );
      receive.call(listener, metadata);
    };
    start.call(call, listener);
  };
  return call as ServerInterceptingCall;
};

function keep(certificate: () => PeerCertificate | undefined): string {
  const ticket = `${systemRandom()}${systemRandom()}`;
  kept.set(ticket, certificate);
  const [oldest] = kept.keys();
  if (kept.size > MOST_KEPT && oldest !== undefined) kept.delete(oldest);
  return ticket;
}

/** Takes the certificate that belongs to a call out of its metadata; undefined without the interceptor. */
export function takeCertificate(metadata: Metadata): (() => PeerCertificate | undefined) | undefined {
  const ticket = metadata.get(CERTIFICATE_KEY);
  metadata.delete(CERTIFICATE_KEY);
  if (typeof ticket !== "string") return undefined;
  const certificate = kept.get(ticket);
  kept.delete(ticket);
  return certificate;
}
