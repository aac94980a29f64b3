import type { Metadata } from "nice-grpc-common";
import { findDetail } from "./any-detail.ts";
import type { AttemptFailure, RetryStop } from "./attempts.ts";
import { show } from "./check-options.ts";
import type { Cursor } from "./cursor.ts";
import { type Reason, reasons } from "./reasons.ts";
import { decodeStatus, STATUS_DETAILS } from "./rich-status.ts";
import { detailsProblems, sentText, type TrailerInit, trailerProblems, withStatus } from "./sent-trailer.ts";
import { parseStatusName, Status, type StatusCode, type StatusName, statusName, toStatusCode } from "./status.ts";
import type { StatusDetail, StatusDetailInit, StatusDetailOf, StatusDetailType } from "./status-detail.ts";
import { detailToJson } from "./status-detail-codec.ts";

/** What an `RpcError` is made from. Only `path`, `reason` and `details` must be given. */
export interface RpcErrorInit {
  /** `/package.Service/Method`; empty where no call is involved. */
  readonly path: string;
  readonly reason: Reason;
  /** Text for whoever reads the log. It may go over the wire. */
  readonly details: string;
  /** Default: the code that the table of reasons gives. */
  readonly code?: StatusCode;
  /** Default: what the table of reasons gives. */
  readonly origin?: "local" | "wire";
  /** Default: 1. */
  readonly attempts?: number;
  readonly headersReceived?: boolean;
  /** Default: true. */
  readonly sent?: boolean;
  readonly trailer?: Metadata | undefined;
  /** Default: what is in the trailer. To send some, use `fail`. */
  readonly statusDetails?: readonly StatusDetail[] | undefined;
  /** Trailers that a server sends along. */
  readonly sendTrailer?: TrailerInit | undefined;
  readonly failures?: readonly AttemptFailure[];
  readonly retryStop?: RetryStop | undefined;
  readonly retryAfterMs?: number | undefined;
  readonly cursor?: Cursor;
  readonly cause?: unknown;
}

export type { TrailerInit } from "./sent-trailer.ts";

const BRAND = "@@bowline:RpcError";

/**
 * The one error class: what a call ends with unless it succeeds or its caller cancels it (then it rejects with the
 * signal's reason, as the platform does).
 *
 * It is an `instanceof` nice-grpc's `ClientError`, so code written for that keeps working; and of the `RpcError` of any
 * other copy of this package, as dependencies bring along.
 */
export class RpcError extends Error {
  /** gRPC's status code. */
  readonly code: StatusCode;
  /** Why, as a stable name: see the table of reasons. Meant to be compared with. */
  readonly reason: Reason;
  /** Whether this process made the error (`local`) or the server sent it (`wire`). */
  readonly origin: "local" | "wire";
  /** `/package.Service/Method`. */
  readonly path: string;
  /** The message without path and code, as nice-grpc names it. */
  readonly details: string;
  /** How many attempts went out, the first included; 0 if none did. */
  readonly attempts: number;
  /** What each attempt ended with, oldest first, where the method may be retried; else empty. */
  declare readonly failures: readonly AttemptFailure[];
  /** Why there was no further attempt, where the method may be retried. */
  declare readonly retryStop: RetryStop | undefined;
  /**
   * In how many milliseconds another call makes sense: with reason `BREAKER_OPEN` the next trial is due then; with
   * `RATE_LIMITED` and `SHED`, and where the wait that it asked for did not fit the deadline, the server says so.
   * Undefined if nobody knows.
   */
  declare readonly retryAfterMs: number | undefined;
  /** With reason `CURSOR_EXPIRED`: the position that the server no longer has. */
  declare readonly cursor: Cursor;
  /** Whether the server may have seen anything of the call; false if there was no connection to send it over. */
  declare readonly sent: boolean;
  /** Whether response headers had come: then gRFC A6 forbids another attempt. */
  readonly headersReceived: boolean;
  /** The trailers that came with the status, if one came. */
  readonly trailer: Metadata | undefined;
  /** Trailers for the status that a server sends, when a handler refuses. */
  readonly sendTrailer: TrailerInit | undefined;
  readonly #givenDetails: readonly StatusDetail[] | undefined;
  #readDetails: readonly StatusDetail[] | undefined;

  constructor(init: RpcErrorInit) {
    const code = init.code ?? reasons[init.reason].code;
    const where = init.path ? `${init.path} ` : "";
    // Half a surrogate pair, as a cut text may end with, cannot be sent: encodeURI throws.
    const details = init.details.toWellFormed();
    super(
      `${where}${statusName(code)}: ${details}${inBrackets(init)}`,
      init.cause === undefined ? {} : { cause: init.cause },
    );
    this.code = code;
    this.reason = init.reason;
    this.origin = init.origin ?? reasons[init.reason].origin;
    this.path = init.path;
    this.details = details;
    this.attempts = init.attempts ?? 1;
    this.headersReceived = init.headersReceived ?? false;
    this.trailer = init.trailer;
    this.sendTrailer = init.sendTrailer;
    this.#givenDetails = init.statusDetails;
    // Only what is said, or logs would be full of what is not.
    if (init.failures) this.failures = init.failures;
    if (init.retryStop) this.retryStop = init.retryStop;
    if (init.retryAfterMs !== undefined) this.retryAfterMs = init.retryAfterMs;
    if (init.cursor !== undefined) this.cursor = init.cursor;
    if (!(init.sent ?? this.attempts > 0)) this.sent = false;
    // Out of the way of logs, which would print the metadata's functions.
    Object.defineProperty(this, "trailer", { enumerable: false });
    Object.defineProperty(this, "sendTrailer", { enumerable: false });
  }

  static override [Symbol.hasInstance](value: unknown): boolean {
    return isMarked(value, BRAND);
  }

  /**
   * What the server says besides code and text, for programs to read (`grpc-status-details-bin`): google.rpc's types,
   * told apart by `$type`, and other messages as they came. Empty if it says nothing, or nothing that can be read; the
   * trailer has the bytes.
   */
  get statusDetails(): readonly StatusDetail[] {
    const { trailer, sendTrailer } = this;
    const statuses = trailer ? trailer.getAll(STATUS_DETAILS) : [sendTrailer?.[STATUS_DETAILS]];
    this.#readDetails ??= this.#givenDetails ?? decodeStatus(statuses);
    return this.#readDetails;
  }

  /**
   * The first of `statusDetails` that has a type: `error.statusDetail("google.rpc.BadRequest")?.fieldViolations`.
   *
   * @returns undefined if there is none.
   */
  statusDetail<Type extends StatusDetailType>(type: Type): StatusDetailOf<Type> | undefined;
  /**
   * The same for a message that is not google.rpc's: `error.statusDetail("shop.v1.OutOfStock", OutOfStock)?.sku`.
   *
   * @param type its full name.
   * @param message its type as ts-proto generates it.
   */
  statusDetail<Message>(type: string, message: { decode(bytes: Uint8Array): Message }): Message | undefined;
  statusDetail(type: string, message?: { decode(bytes: Uint8Array): unknown }): unknown {
    return findDetail(this.statusDetails, type, message);
  }

  /** The same error, with some of it said anew. */
  with(changes: Partial<RpcErrorInit>): RpcError {
    const { path, reason, details, code, origin, attempts, headersReceived, trailer, sendTrailer } = this;
    const { failures, retryStop, retryAfterMs, sent, cursor, cause } = this;
    const statusDetails = this.#givenDetails;
    const init = { path, reason, details, code, origin, attempts, headersReceived, trailer, sendTrailer };
    const why = { failures, retryStop, retryAfterMs, sent, cursor, cause, statusDetails };
    return new RpcError({ ...init, ...why, ...changes });
  }

  /** What structured logs print. */
  toJSON(): object {
    const { name, message, code, reason, origin, path, details, attempts, stack } = this;
    const { failures, retryStop, retryAfterMs, statusDetails } = this;
    const why = {
      ...(failures.length > 1 && { failures }),
      ...(retryStop && { retryStop }),
      ...(statusDetails.length > 0 && { statusDetails: statusDetails.map(detailToJson) }),
    };
    const when = retryAfterMs === undefined ? {} : { retryAfterMs };
    const said = { name, message, status: statusName(code), code, reason, origin, path, details, attempts };
    return { ...said, ...why, ...when, stack };
  }

  /**
   * The only normaliser: whatever was thrown, as an `RpcError`.
   *
   * nice-grpc's errors keep their code; an abort becomes CANCELLED; everything else becomes INTERNAL with reason
   * `UNEXPECTED`, its text kept as `cause` and out of `details`, so that it never reaches a wire by accident.
   */
  static from(error: unknown, path = ""): RpcError {
    try {
      const known = fromKnown(error, path);
      if (known) return known;
    } catch {
      // A revoked Proxy throws at whoever looks at it, and so may a getter.
    }
    return new RpcError({ path, reason: "UNEXPECTED", details: "unexpected error", cause: error });
  }
}

Object.defineProperty(RpcError.prototype, "name", { value: "RpcError", configurable: true, writable: true });
Object.defineProperty(RpcError.prototype, "failures", { value: Object.freeze([]), writable: true });
Object.defineProperty(RpcError.prototype, "sent", { value: true, writable: true });
Object.defineProperty(RpcError.prototype, BRAND, { value: true });
// What nice-grpc's ClientError asks an instance for.
Object.defineProperty(RpcError.prototype, "@@nice-grpc:ClientError", { value: true });

/** What a log that keeps the message alone must not lose: how many attempts, and what kept others from being made. */
function inBrackets({ attempts = 1, retryStop, reason }: RpcErrorInit): string {
  const denied = retryStop !== undefined && !["NOT_RETRYABLE", "MAX_ATTEMPTS"].includes(retryStop);
  const notes = [
    ...(attempts > 1 ? [`after ${attempts} attempts`] : []),
    ...(denied ? [`no further one: ${retryStop === "REJECTED" ? reason : retryStop}`] : []),
  ];
  return attempts > 0 && notes.length > 0 ? ` (${notes.join("; ")})` : "";
}

/** Errors of which more is known than that they were thrown. */
function fromKnown(error: unknown, path: string): RpcError | undefined {
  if (error instanceof RpcError) return error;
  const cause = error as { code?: unknown; details?: unknown; path?: unknown };
  if (isMarked(error, "@@nice-grpc:ClientError")) {
    const known = { path: String(cause.path ?? path), code: toStatusCode(Number(cause.code)) };
    return new RpcError({ ...known, reason: "STATUS", details: String(cause.details), cause: error });
  }
  if (isMarked(error, "@@nice-grpc:ServerError")) {
    const code = toStatusCode(Number(cause.code));
    return new RpcError({ path, code, reason: "REFUSED", details: String(cause.details), cause: error });
  }
  if (error instanceof Error && error.name === "AbortError") {
    return new RpcError({ path, reason: "CANCELLED", details: "the call was cancelled", cause: error });
  }
  return undefined;
}

/** Whether it says that it is of a class, of whichever copy of its package; what cannot be looked at says nothing. */
function isMarked(value: unknown, brand: string): boolean {
  try {
    return typeof value === "object" && value !== null && Reflect.get(value, brand) === true;
  } catch {
    return false;
  }
}

/** What a refusal may carry besides its message. */
export interface FailOptions {
  /** Trailers to send along. Default: none. */
  readonly trailer?: TrailerInit | undefined;
  /**
   * When a client may try again, in milliseconds; negative: not at all (gRFC A6, `grpc-retry-pushback-ms`).
   * Default: the client decides.
   */
  readonly pushbackMs?: number | undefined;
  /**
   * What programs are to know of it besides code and text, such as the fields that are wrong. Sent in
   * `grpc-status-details-bin`, as much of it as 7 KiB of trailers have room for: lists are cut. Default: nothing.
   */
  readonly statusDetails?: readonly StatusDetailInit[] | undefined;
  /** What led to it: for the log, never sent. */
  readonly cause?: unknown | undefined;
}

/**
 * Refuses the call being served: its client gets this code and this message, word for word; of one that takes more
 * than 7 KiB on the wire, the beginning.
 *
 * @param code a status's name, or its number as nice-grpc's `Status` has it; not OK.
 * @throws RpcError always; TypeError that lists everything that is wrong: OK, what is no status, a message that is no
 *   text, and trailers and details that cannot be sent.
 */
export function fail(code: Exclude<StatusName, "OK"> | number, message: string, options: FailOptions = {}): never {
  const name = parseStatusName(code);
  const { pushbackMs, trailer, statusDetails, cause } = options;
  const pushback = pushbackMs === undefined ? undefined : { [PUSHBACK]: String(Math.floor(pushbackMs)) };
  const problems = [
    ...(name === undefined ? [`gRPC has no status ${code}`] : []),
    ...(name === "OK" ? ["OK is no failure; return the answer instead"] : []),
    ...(typeof message === "string" ? [] : [`the message must be a text; it is ${show(message)}`]),
    ...trailerProblems(trailer ?? {}),
    ...detailsProblems(statusDetails ?? [], trailer),
  ];
  if (name === undefined || problems.length > 0) throw new TypeError(`fail: ${problems.join("; ")}`);
  const number = Status[name];
  const others = { ...trailer, ...pushback };
  const details = sentText(message, others);
  const sendTrailer = withStatus(others, { code: number, message: details }, statusDetails ?? []);
  throw new RpcError({ path: "", reason: "REFUSED", code: number, details, sendTrailer, cause });
}

/** gRFC A6: milliseconds until the next attempt may be made; negative: none may. */
export const PUSHBACK = "grpc-retry-pushback-ms";

/** The trailer of a status that a draining server sends on open streams: open the stream again, elsewhere. */
export const DRAIN_TRAILER = "bowline-drain";

/** The trailer by which a server says which of its limits refused a call: `RATE_LIMITED` or `SHED`. */
export const REFUSED_TRAILER = "bowline-refused";
