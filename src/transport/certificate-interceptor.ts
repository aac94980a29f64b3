import type { ServerInterceptingCall, ServerInterceptor } from "@grpc/grpc-js";
import type { Metadata } from "nice-grpc-common";
import type { PeerCertificate } from "../core/identity.ts";
import { unguessable } from "../core/random.ts";
import { peerCertificateOf } from "./peer-certificate.ts";

/** The metadata key under which middlewares are told where a call's certificate is kept. */
const CERTIFICATE_KEY = "bowline-certificate";

/**
 * Certificates of the calls whose streams are open. What is handed on is a ticket and not the certificate, which a
 * client could write into its metadata as well.
 */
const kept = new Map<string, () => PeerCertificate | undefined>();

/**
 * Lets `serverMiddleware` see clients' certificates, for `mtls()`: `createServer({ interceptors:
 * [certificateInterceptor] })` with nice-grpc's own `createServer`, which hides them.
 */
export const certificateInterceptor: ServerInterceptor = (_method, call) => {
  const start = call.start;
  call.start = (listener) => {
    const ticket = unguessable();
    const { onReceiveMetadata, onCancel } = listener;
    listener.onReceiveMetadata = (metadata) => {
      kept.set(ticket, () => peerCertificateOf(call));
      // Set over what the client sent under this name.
      metadata.set(CERTIFICATE_KEY, ticket);
      onReceiveMetadata.call(listener, metadata);
    };
    // grpc-js says so of every call when its stream closes.
    listener.onCancel = () => {
      kept.delete(ticket);
      onCancel.call(listener);
    };
    start.call(call, listener);
  };
  return call as ServerInterceptingCall;
};

/**
 * Takes out of a call's metadata whose certificate it came with; undefined without the interceptor. Each middleware that
 * the call passes may ask, of a copy of the metadata.
 */
export function takeCertificate(metadata: Metadata): (() => PeerCertificate | undefined) | undefined {
  const ticket = metadata.get(CERTIFICATE_KEY);
  metadata.delete(CERTIFICATE_KEY);
  return typeof ticket === "string" ? kept.get(ticket) : undefined;
}
