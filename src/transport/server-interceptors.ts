import type { ServerInterceptingCall, ServerInterceptor } from "@grpc/grpc-js";

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
 * Tells grpc-js that a single response is written as soon as it is handed over, so that the status is not held back
 * until the kernel has taken the response: both leave in one write. There is one response, so nothing can pile up.
 */
export const acknowledgeEarly: ServerInterceptor = (method, call) => {
  if (!method.responseStream) {
    const sendMessage = call.sendMessage;
    call.sendMessage = (message, written) => {
      sendMessage.call(call, message, () => {});
      written();
    };
  }
  return call as ServerInterceptingCall;
};
