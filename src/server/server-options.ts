import { constants } from "node:os";
import type { ServerMiddleware } from "nice-grpc-common";
import type { CallContext } from "../core/call-context.ts";
import {
  areFunctions,
  checkOptions,
  type Filled,
  isBoolean,
  isCount,
  isDelay,
  isFunction,
  isObject,
  isPem,
  isPositive,
  type OptionCheck,
  show,
} from "../core/check-options.ts";
import type { Observer } from "../core/observer.ts";
import { defaultServerLimits, type ServerLimits, type ServerTls } from "../transport/index.ts";
import { accessProblems } from "./authentication/access.ts";
import { type Authenticators, authenticatorProblems } from "./authentication/authenticator.ts";
import { errorText } from "./health/error-text.ts";
import { type IdempotencyOptions, idempotencyProblems } from "./idempotency/options.ts";
import { type RateLimitOptions, rateLimitProblems, type ShedOptions, shedProblems } from "./limits/load-options.ts";
import { isValidation, type Validation } from "./validation/validation.ts";

/** What holds for a server made by `createServer`. */
export interface ServerOptions extends ServerLimits {
  /** nice-grpc server middlewares. They run outermost, the first the outermost of them. Default: none. */
  readonly use?: readonly ServerMiddleware[] | undefined;
  /** Is told what handlers do, and what limits refuse. Default: nobody is, and it costs nothing. */
  readonly observer?: Observer | undefined;
  /**
   * Is told of errors that clients only see as INTERNAL; what it throws itself becomes a process warning. Default:
   * they are written to standard error, with method and stack.
   */
  readonly onError?: ((error: unknown, context: CallContext) => void) | undefined;
  /**
   * Signals on which the server drains, from its first address on; then the signal takes its course, which ends the
   * process. A warning says by method on which calls such a drain gave up. Default: `["SIGTERM"]`; `[]` to call
   * `drain()` yourself.
   */
  readonly drainOn?: readonly NodeJS.Signals[] | undefined;
  /** How long a drain may take, in milliseconds; `Infinity` for as long as its calls take. Default: 30,000. */
  readonly drainTimeoutMs?: number | undefined;
  /**
   * How long a drain goes on serving after it has said NOT_SERVING, in milliseconds, until load balancers have noticed;
   * `drainTimeoutMs` begins after it. Default: 0.
   */
  readonly drainDelayMs?: number | undefined;
  /**
   * How repetitions of calls with an idempotency key are recognised; needed where a contract has such keys. `false`:
   * not at all, for tests that are to see each attempt. Default: none.
   */
  readonly idempotency?: IdempotencyOptions | false | undefined;
  /**
   * How many of `server.health`'s deep checks run at a time, and how many business checks besides. Default: 4: checks
   * are to show whether dependencies work, not to be their load.
   */
  readonly maxConcurrentChecks?: number | undefined;
  /**
   * Who is calling: `jwt({ … })`, `mtls({ … })`, a function of your own, or several, of which the first that finds
   * credentials decides. With it, the contract's `auth` holds, and a method of which it says nothing is for nobody;
   * needed where a contract has `auth`. `false`: whoever comes is served, for tests. Default: none.
   */
  readonly authenticate?: Authenticators | false | undefined;
  /**
   * Whether a stream ends with UNAUTHENTICATED when the credentials end that it was opened with. Default: true; false
   * lets it go on for as long as it stays open.
   */
  readonly endStreamsAtExpiry?: boolean | undefined;
  /**
   * Whether gRPC reflection is served, v1 and v1alpha, which grpcurl needs: to nobody, to all, or to callers that are
   * authenticated. Default: true; `"authenticated"` with `authenticate`.
   */
  readonly reflection?: boolean | "authenticated" | undefined;
  /**
   * How often methods may be called, besides what contracts say, and where that is counted:
   * `{ calls: 100, perMs: 1_000, burst: 200, key: "identity" }` holds for each method by itself. `false`: nobody is
   * limited, for tests. Default: what contracts say, counted in this process.
   */
  readonly rateLimit?: RateLimitOptions | false | undefined;
  /**
   * When calls are refused because there is too much to do, those that matter least first: a limit that all services
   * share whose contracts have none of their own. `{}` follows the latency; `false`: nothing is refused, whatever
   * contracts say, for tests. Default: what contracts say.
   */
  readonly shed?: ShedOptions | false | undefined;
  /**
   * What evaluates the constraints that contracts have on requests: `protovalidate()` of `bowline/validate`; needed where
   * a contract has such constraints. `false`: requests are served unchecked. Default: none.
   */
  readonly validation?: Validation | false | undefined;
  /** Further grpc-js server arguments; `interceptors` run besides the server's own. Default: none. */
  readonly channelOptions?: Readonly<Record<string, unknown>> | undefined;
}

/** How an address is served. */
export interface ListenOptions {
  /** Default: plaintext. */
  readonly tls?: ServerTls | undefined;
}

/** A thousand bytes: what gRPC itself sends with each call has some hundred. */
const LEAST_METADATA_BYTES = 1_024;

const LIMITS: Readonly<Record<keyof ServerLimits, OptionCheck>> = {
  maxReceiveMessageBytes: isPositive,
  maxMetadataBytes: (value) =>
    isPositive(value) ??
    ((value as number) >= LEAST_METADATA_BYTES
      ? undefined
      : `must be at least ${LEAST_METADATA_BYTES}; it is ${value}`),
  maxStreamsPerConnection: isCountOrInfinity,
  maxStreamResetsPerSecond: isPositive,
  maxConnections: isCountOrInfinity,
  maxConnectionsPerPeer: isCountOrInfinity,
  maxConnectionIdleMs: isPositive,
  maxConnectionAgeMs: isPositive,
  maxConnectionAgeGraceMs: isPositive,
  keepaliveTimeMs: isPositive,
  keepaliveTimeoutMs: isPositive,
};

/** How many of something there may be. */
function isCountOrInfinity(value: unknown): string | undefined {
  return value === Number.POSITIVE_INFINITY ? undefined : isCount(value);
}

/** What one client, and all of them together, may take up. */
export function limitsOf(options: ServerOptions): Filled<ServerLimits> {
  const names = Object.keys(defaultServerLimits) as (keyof ServerLimits)[];
  const said = names.filter((name) => options[name] !== undefined).map((name) => [name, options[name]]);
  return { ...defaultServerLimits, ...Object.fromEntries(said) };
}

const SERVER: Readonly<Record<keyof ServerOptions, OptionCheck>> = {
  use: areFunctions,
  observer: isFunction,
  onError: isFunction,
  drainOn: (value) =>
    Array.isArray(value) && value.every(isSignal)
      ? undefined
      : `must be an array of signals that can be caught; it is ${JSON.stringify(value) ?? value}`,
  drainTimeoutMs: isPositive,
  drainDelayMs: isDelay,
  // Looked at by themselves: they have problems of their own, and more than one.
  idempotency: () => undefined,
  rateLimit: () => undefined,
  shed: () => undefined,
  maxConcurrentChecks: isCount,
  // Looked at by itself, as one that is none says more than one thing.
  authenticate: () => undefined,
  endStreamsAtExpiry: isBoolean,
  reflection: (value) =>
    typeof value === "boolean" || value === "authenticated"
      ? undefined
      : `must be true, false or "authenticated"; it is ${show(value)}`,
  validation: isValidation,
  ...LIMITS,
  channelOptions: isObject,
};

/**
 * Checks what a server is made with.
 *
 * @throws TypeError that lists every problem.
 */
export function checkServerOptions(options: ServerOptions): void {
  const problems = serverOptionProblems(options);
  if (problems.length > 0) throw new TypeError(`createServer: ${problems.join("; ")}`);
}

/**
 * All that is wrong with what calls are served by.
 *
 * @param names the options that there are. Default: all of a server's.
 */
export function serverOptionProblems(
  options: ServerOptions,
  names: readonly (keyof ServerOptions)[] = Object.keys(SERVER) as (keyof ServerOptions)[],
): string[] {
  return [
    ...checkOptions(options, Object.fromEntries(names.map((name) => [name, SERVER[name]]))),
    ...authenticatorProblems(options?.authenticate),
    ...accessProblems(options ?? {}),
    ...idempotencyProblems(options?.idempotency),
    ...rateLimitProblems(options?.rateLimit),
    ...shedProblems(options?.shed),
  ];
}

const LISTEN: Readonly<Record<keyof ListenOptions, OptionCheck>> = {
  tls: (value) => (isObject(value) ? "must be { cert, key, ca }" : undefined),
};

const TLS: Readonly<Record<keyof ServerTls, OptionCheck>> = {
  cert: isPem,
  key: isPem,
  ca: isPem,
  clientCertificate: (value) =>
    value === "required" || value === "requested"
      ? undefined
      : `must be "required" or "requested"; it is ${show(value)}`,
};

/**
 * Checks how an address is to be served: a name that no option has would otherwise serve plaintext, and an address
 * without a port would bind 443.
 *
 * @param further what is wrong besides.
 * @throws TypeError that lists every problem.
 */
export function checkListenOptions(address: string, options: ListenOptions, further: readonly string[] = []): void {
  const { tls } = options;
  const missing = tls && (tls.cert === undefined || tls.key === undefined) ? ["tls takes cert and key"] : [];
  const unsigned = tls?.clientCertificate !== undefined && tls.ca === undefined;
  const problems = [
    ...addressProblems(address, "0.0.0.0:50051", ", and give tls for TLS"),
    ...checkOptions(options, LISTEN),
    ...(typeof tls === "object" ? checkOptions(tls, TLS, "tls.") : []),
    ...missing,
    ...(unsigned ? ["tls.clientCertificate takes ca: who signs them"] : []),
    ...further,
  ];
  if (problems.length > 0) throw new TypeError(`listen(${JSON.stringify(address)}): ${problems.join("; ")}`);
}

/**
 * Checks where the admin port is to be.
 *
 * @throws TypeError if it is no address.
 */
export function checkAdminAddress(address: string): void {
  const problems = addressProblems(address, "127.0.0.1:8081");
  if (problems.length > 0) throw new TypeError(`listenAdmin(${JSON.stringify(address)}): ${problems.join("; ")}`);
}

/** @param rest what stands for https. */
function addressProblems(address: string, example: string, rest = ""): string[] {
  if (/^https?:\/\//i.test(address)) return [`the address is no URL: leave http:// or https:// out${rest}`];
  const fits = /^unix:.|[^:]:\d{1,5}$/.test(address);
  return fits ? [] : [`the address must be host:port, such as ${example}, or unix:/path`];
}

function isSignal(name: unknown): boolean {
  return typeof name === "string" && name in constants.signals && name !== "SIGKILL" && name !== "SIGSTOP";
}

/** Where errors go unless `onError` is given. */
export function writeError(error: unknown, { method }: CallContext): void {
  const what = `bowline: ${method.path} failed:`;
  try {
    // biome-ignore lint/suspicious/noConsole: where nobody listens, standard error is the log
    console.error(what, error);
  } catch {
    // What it says of itself, a getter's say, may throw too.
    // biome-ignore lint/suspicious/noConsole: the same
    console.error(what, errorText(error));
  }
}
