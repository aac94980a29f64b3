import type { ServerMiddleware } from "nice-grpc-common";
import type { CallContext } from "../core/call-context.ts";
import type { Observer } from "../core/observer.ts";

/** What holds for a server made by `createServer`. */
export interface ServerOptions {
  /** nice-grpc server middlewares. They run outermost, the first the outermost of them. Default: none. */
  readonly use?: readonly ServerMiddleware[];
  /** Is told what handlers do. Default: nobody is, and it costs nothing. */
  readonly observer?: Observer;
  /**
   * Is told of errors that clients only see as INTERNAL; what it throws itself becomes a process warning. Default:
   * they are written to standard error, with method and stack.
   */
  readonly onError?: (error: unknown, context: CallContext) => void;
  /**
   * Signals on which the server drains, from its first address on; then the signal takes its course, which ends the
   * process. Default: `["SIGTERM"]`; `[]` to call `drain()` yourself.
   */
  readonly drainOn?: readonly NodeJS.Signals[];
  /** How long a drain may take, in milliseconds; `Infinity` for as long as its calls take. Default: 30,000. */
  readonly drainTimeoutMs?: number;
  /** Whether gRPC reflection is served, v1 and v1alpha: grpcurl needs it. Default: true. */
  readonly reflection?: boolean;
  /** Largest message to receive, in bytes. Default: 4 MiB, as gRPC everywhere. */
  readonly maxReceiveMessageBytes?: number;
  /** Further grpc-js server arguments. Default: none. */
  readonly channelOptions?: Readonly<Record<string, unknown>>;
}

/** The longest that a drain takes unless said otherwise, in milliseconds. */
export const DEFAULT_DRAIN_TIMEOUT_MS = 30_000;

/**
 * Checks what a server is made with.
 *
 * @throws TypeError that lists every problem.
 */
export function checkServerOptions(options: ServerOptions): void {
  const problems = (["drainTimeoutMs", "maxReceiveMessageBytes"] as const).flatMap((name) => {
    const value = options[name];
    return value === undefined || value > 0 ? [] : [`${name} must be greater than zero; it is ${value}`];
  });
  if (problems.length > 0) throw new TypeError(`createServer: ${problems.join("; ")}`);
}

/** Where errors go unless `onError` is given. */
export function writeError(error: unknown, context: CallContext): void {
  // biome-ignore lint/suspicious/noConsole: where nobody listens, standard error is the log
  console.error(`bowline: ${context.method.path} failed:`, error);
}
