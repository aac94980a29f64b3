import type { ServerInterceptingCall, ServerInterceptor } from "@grpc/grpc-js";
import { type StatusCode, toStatusCode } from "../core/status.ts";

/** A status that ends a call. */
export interface SentStatus {
  readonly code: StatusCode;
  readonly details: string;
}

/** Is told of what a server refuses before a handler hears of it. */
export interface RefusalListener {
  /** A call with one request was ended before its handler began: the request is too large, no such message, or late. */
  onRequest(path: string, code: StatusCode): void;
  /** A connection was closed as soon as it was made; `peer`, such as `peer:10.0.0.7`, if it has an address. */
  onConnection(limit: "maxConnections" | "maxConnectionsPerPeer", peer: string | undefined): void;
}

/**
 * Tells of calls that are ended before their handlers begin.
 *
 * @param listenerFor who is told, of a method that is called.
 */
export function tellRefused(listenerFor: (path: string) => RefusalListener | undefined): ServerInterceptor {
  return (method, call) => {
    // Handlers of what is streamed have begun before there is any request.
    const listener = method.requestStream ? undefined : listenerFor(method.path);
    if (!listener) return call as ServerInterceptingCall;
    let hasBegun = false;
    const { start, sendStatus } = call;
    call.start = (receiver) => {
      const halfClose = receiver.onReceiveHalfClose;
      receiver.onReceiveHalfClose = () => {
        hasBegun = true;
        halfClose.call(receiver);
      };
      start.call(call, receiver);
    };
    call.sendStatus = (status) => {
      sendStatus.call(call, status);
      if (!hasBegun) listener.onRequest(method.path, toStatusCode(status.code ?? 0));
      hasBegun = true;
    };
    return call as ServerInterceptingCall;
  };
}

/** A call, on both sides of its interceptors; its metrics recorder is the one object that both reach. */
interface Recording {
  getMetricsRecorder(): object;
}

const statuses = new WeakMap<object, SentStatus>();

/** Keeps with what status a call ends that streams requests: grpc-js ends it by itself where one is too large. */
export const keepStatus: ServerInterceptor = (method, call) => {
  if (!method.requestStream) return call as ServerInterceptingCall;
  const sendStatus = call.sendStatus;
  call.sendStatus = (status) => {
    const { code, details } = status;
    statuses.set(call.getMetricsRecorder(), { code: toStatusCode(code ?? 0), details: details ?? "" });
    sendStatus.call(call, status);
  };
  return call as ServerInterceptingCall;
};

/** The status that was sent for a call that streams requests; undefined if none was. */
export function sentStatusOf(call: Recording): SentStatus | undefined {
  return statuses.get(call.getMetricsRecorder());
}
