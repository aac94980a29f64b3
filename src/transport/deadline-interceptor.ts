import { ServerInterceptingCall, type ServerInterceptor } from "@grpc/grpc-js";

/** The metadata key under which the deadline reaches nice-grpc's handlers: milliseconds of wall time. */
export const DEADLINE_KEY = "bowline-deadline";

/**
 * Lets `serverMiddleware` see deadlines: `createServer({ interceptors: [deadlineInterceptor] })` with nice-grpc's own
 * `createServer`. grpc-js takes `grpc-timeout` out of the metadata before nice-grpc sees it, and nice-grpc hands on
 * the signal alone.
 */
export const deadlineInterceptor: ServerInterceptor = (_method, call) =>
  new ServerInterceptingCall(call, {
    start: (next) =>
      next({
        onReceiveMetadata(metadata, pass) {
          const deadline = Number(call.getDeadline());
          // Never what the client sent under this name.
          metadata.remove(DEADLINE_KEY);
          if (Number.isFinite(deadline)) metadata.set(DEADLINE_KEY, String(deadline));
          pass(metadata);
        },
      }),
  });
