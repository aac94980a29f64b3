import type { ServerInterceptingCall, ServerInterceptor } from "@grpc/grpc-js";
import { Status } from "../core/status.ts";
import { outflowOf } from "./outflow.ts";

/**
 * grpc-js's interceptors are meant to wrap each call in two objects and four closures. These change the call that they
 * are given, and hand it back.
 */

/** The metadata key under which the deadline reaches nice-grpc's handlers: milliseconds of wall time. */
export const DEADLINE_KEY = "bowline-deadline";

/**
 * Lets `serverMiddleware` see deadlines: `createServer({ interceptors: [deadlineInterceptor] })` with nice-grpc's own
 * `createServer`. grpc-js takes `grpc-timeout` out of the metadata before nice-grpc sees it, and nice-grpc hands on
 * the signal alone.
 */
export const deadlineInterceptor: ServerInterceptor = (_method, call) => {
  const start = call.start;
  call.start = (listener) => {
    const receive = listener.onReceiveMetadata;
    listener.onReceiveMetadata = (metadata) => {
      const deadline = Number(call.getDeadline());
      // Never what the client sent under this name.
      metadata.remove(DEADLINE_KEY);
      if (Number.isFinite(deadline)) metadata.set(DEADLINE_KEY, String(deadline));
      receive.call(listener, metadata);
    };
    start.call(call, listener);
  };
  return call as ServerInterceptingCall;
};

/**
 * Tells grpc-js that a response is written as soon as it is handed over. It would otherwise hold back what follows
 * until the kernel has taken the response: a single response's status, which can leave in the same write, or a
 * stream's next message, which can share a frame. What piles up of a stream is bounded by its outflow.
 */
export const acknowledgeEarly: ServerInterceptor = (method, call) => {
  if (method.responseStream) countOutflow(call);
  else {
    const sendMessage = call.sendMessage;
    call.sendMessage = (message, written) => {
      sendMessage.call(call, message, () => {});
      written();
    };
  }
  return call as ServerInterceptingCall;
};

/** grpc-js's reader of a request stream's frames; 0 where it is between two messages. */
interface WithDecoder {
  readonly decoder?: { readonly readState?: number };
}

/**
 * Refuses a request stream that ends in the middle of a message. grpc-js drops what came of it, and the handler would
 * take the rest for all.
 */
export const refuseCutRequests: ServerInterceptor = (method, call) => {
  if (!method.requestStream) return call as ServerInterceptingCall;
  const start = call.start;
  call.start = (listener) => {
    const halfClose = listener.onReceiveHalfClose;
    listener.onReceiveHalfClose = () => {
      const isCut = ((call as unknown as WithDecoder).decoder?.readState ?? 0) !== 0;
      if (isCut) call.sendStatus({ code: Status.INTERNAL, details: "the request ended in the middle of a message" });
      else halfClose.call(listener);
    };
    start.call(call, listener);
  };
  return call as ServerInterceptingCall;
};

function countOutflow(call: Parameters<ServerInterceptor>[1]): void {
  const outflow = outflowOf(call);
  const { sendMessage, sendStatus } = call;
  call.sendMessage = (message, written) => {
    if (!outflow.over) {
      outflow.add(message);
      sendMessage.call(call, message, outflow.left);
    }
    written();
  };
  // grpc-js comes this way too with a status of its own.
  call.sendStatus = (status) => {
    sendStatus.call(call, status);
    outflow.end();
  };
}
