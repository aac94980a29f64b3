import type { ClientMiddleware } from "nice-grpc-common";
import type { Contract } from "../contract/contract.ts";
import {
  areFunctions,
  checkOptions,
  isBoolean,
  isCount,
  isFunction,
  isObject,
  isPem,
  isPositive,
  isText,
  type OptionCheck,
  show,
} from "../core/check-options.ts";
import { CRITICALITIES, type Criticality, isCriticality } from "../core/criticality.ts";
import type { Observer } from "../core/observer.ts";
import { type ClientTls, type ConnectionOptions, isLoopback } from "../transport/index.ts";
import type { Credentials } from "./credentials/credentials.ts";
import { type FallbacksOf, fallbackProblems } from "./fallbacks.ts";

/** What holds for all calls of a client, over a channel or inside nice-grpc. */
export interface PipelineOptions<Client = object> {
  /**
   * Upper bound of each call's time, in milliseconds; greater than zero, and `Infinity` for no limit of its own. The
   * least of contract, client and call holds. Default: nothing is said; methods with one response have 10,000 if
   * nobody says anything.
   */
  readonly timeoutMs?: number | undefined;
  /**
   * Above how many attempts a contract's `max_attempts` is taken as this many; a whole number of at least 1.
   * Default: 5 (gRFC A6).
   */
  readonly maxAttemptsLimit?: number | undefined;
  /** Is told what calls and policies do. Default: nobody is, and it costs nothing. */
  readonly observer?: Observer | undefined;
  /**
   * How much its calls matter, unless one says so itself: a server with too much to do refuses what matters least first.
   * Calls made while serving another one matter no more than that one. Default: as much as the call being served, else
   * what the contract says.
   */
  readonly criticality?: Criticality | undefined;
  /**
   * Whom its calls are made for, unless one says so itself, where answers are shared by `coalesce` or `cache`; not sent.
   * Default: all calls of the client that send equal metadata share.
   */
  readonly partition?: string | undefined;
  /**
   * What answers when a call fails with UNAVAILABLE, DEADLINE_EXCEEDED or RESOURCE_EXHAUSTED, rejections of the client's
   * own included, and no kept answer stands in: `{ getOrder: (request, error) => … }`, for unary methods without side
   * effects. It returns the answer at once; if it throws, the call fails as it would have, with that as `cause`.
   * Default: nothing does.
   */
  readonly fallback?: FallbacksOf<Client> | undefined;
  /**
   * The most metadata of a request, in bytes as HTTP/2 counts them; a whole number of at least 1, or `Infinity`. More
   * fails with `REQUEST_NOT_ENCODABLE` before it is sent. Default: 57,344 (56 KiB): a value of 64 KiB ends the
   * connection to a server on Node, with every call on it.
   */
  readonly maxMetadataBytes?: number | undefined;
}

/** What holds for a client made by `createClient`. */
export interface ClientOptions<Client = object> extends PipelineOptions<Client>, ConnectionOptions {
  /** TLS: `true` for Node's own authorities, or what it needs to know. Default: plaintext. */
  readonly tls?: boolean | ClientTls | undefined;
  /**
   * What its calls are allowed by: `bearer(…)`, `forwardCallerToken({ … })`, or something of your own. Default: nothing
   * is sent.
   */
  readonly credentials?: Credentials | undefined;
  /** Allows plaintext to a target that is not this machine. Default: false. */
  readonly insecure?: boolean | undefined;
  /**
   * nice-grpc client middlewares. They run outermost, in nice-grpc's order: the first is the innermost of them.
   * Default: none.
   */
  readonly use?: readonly ClientMiddleware[] | undefined;
}

const PIPELINE: Readonly<Record<keyof PipelineOptions, OptionCheck>> = {
  timeoutMs: isPositive,
  maxAttemptsLimit: isCount,
  observer: isFunction,
  criticality: (value) =>
    isCriticality(value) ? undefined : `must be one of ${CRITICALITIES.join(", ")}; it is ${show(value)}`,
  partition: isText,
  fallback: isObject,
  maxMetadataBytes: (value) => (value === Number.POSITIVE_INFINITY ? undefined : isCount(value)),
};

const TLS: Readonly<Record<keyof ClientTls, OptionCheck>> = {
  ca: isPem,
  cert: isPem,
  key: isPem,
  serverName: (value) => (typeof value === "string" && value !== "" ? undefined : "must be a name"),
};

const CLIENT: Readonly<Record<keyof ClientOptions, OptionCheck>> = {
  ...PIPELINE,
  tls: (value) =>
    typeof value === "boolean" || !isObject(value) ? undefined : "must be true, or { ca, cert, key, serverName }",
  credentials: (value) =>
    typeof Reflect.get(Object(value), "forCall") === "function"
      ? undefined
      : `must be credentials, such as bearer(…); it is ${show(value)}`,
  insecure: isBoolean,
  use: areFunctions,
  keepaliveTimeMs: isPositive,
  keepaliveTimeoutMs: isPositive,
  connectTimeoutMs: isPositive,
  initialReconnectBackoffMs: isPositive,
  maxReconnectBackoffMs: isPositive,
  maxReceiveMessageBytes: isPositive,
  channelOptions: isObject,
};

/**
 * Checks what a client is made with.
 *
 * @throws TypeError that lists every problem.
 */
export function checkClientOptions(target: string, options: ClientOptions, contract?: Contract): void {
  const problems = isObject(options) ? checkOptions(options, CLIENT) : clientProblems(target, options, contract);
  if (problems.length > 0) throw new TypeError(`createClient(${JSON.stringify(target)}): ${problems.join("; ")}`);
}

function clientProblems(target: string, options: ClientOptions, contract: Contract | undefined): string[] {
  const tls = typeof options.tls === "object" && options.tls !== null ? options.tls : {};
  return [
    ...checkTarget(target, options),
    ...checkOptions(options, CLIENT),
    ...checkCredentials(target, options),
    ...(contract ? fallbackProblems(contract, options.fallback) : []),
    ...checkOptions(tls, TLS, "tls."),
    ...((tls.cert === undefined) === (tls.key === undefined) ? [] : ["tls.cert and tls.key go together"]),
  ];
}

/** All that is wrong with what holds for a pipeline's calls. */
export function checkPipelineOptions(options: PipelineOptions, contract: Contract): string[] {
  return [...checkOptions(options, PIPELINE), ...fallbackProblems(contract, options?.fallback)];
}

/** What credentials have against a target. Plaintext that would show them to others is refused with or without any. */
function checkCredentials(target: string, { credentials }: ClientOptions): readonly string[] {
  return typeof credentials?.forCall === "function" ? (credentials.targetProblems?.(target) ?? []) : [];
}

function checkTarget(target: string, options: ClientOptions): string[] {
  if (typeof target !== "string" || target === "") return ['the target must be a name such as "dns:///orders:50051"'];
  if (/^https?:/.test(target))
    return ["the target is no URL: leave http:// or https:// out, and set tls: true for TLS"];
  const port = portProblem(target);
  return [...(port ? [port] : []), ...checkSecrecy(target, options)];
}

/** `ipv4:` and `ipv6:` may name several addresses. */
function portProblem(target: string): string | undefined {
  if (/^(unix|unix-abstract|xds):/.test(target)) return undefined;
  if (!/[^:/]:\d+$/.test(target)) return "the target must end in a port, such as orders:50051";
  const ports = [...target.matchAll(/:(\d+)(?=,|$)/g)].map(([, port]) => Number(port));
  const wrong = ports.find((port) => port > 65_535);
  return wrong === undefined ? undefined : `the target's port must be at most 65535; it is ${wrong}`;
}

function checkSecrecy(target: string, options: ClientOptions): string[] {
  if (options.tls && options.insecure) return ["tls and insecure exclude each other"];
  if (options.tls || options.insecure || isLoopback(target)) return [];
  return ["plaintext would leave this machine: set tls: true, or insecure: true if the network is to be trusted"];
}
