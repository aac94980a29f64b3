import { Status, type StatusCode } from "./status.ts";

/** One row of the table of reasons. */
export interface ReasonRow {
  /** The status code that goes with it, unless the server said another. */
  readonly code: StatusCode;
  /** Whether this process makes it, or the server's answer. */
  readonly origin: "local" | "wire";
  /** What happened. */
  readonly meaning: string;
  /** What to do about it. */
  readonly remedy: string;
}

function local(code: StatusCode, meaning: string, remedy: string): ReasonRow {
  return { code, origin: "local", meaning, remedy };
}

function wire(code: StatusCode, meaning: string, remedy: string): ReasonRow {
  return { code, origin: "wire", meaning, remedy };
}

/**
 * Every reason that an `RpcError` can have. Names are stable: code compares with them, dashboards count them. The
 * README's table is this one.
 */
export const reasons = {
  STATUS: wire(Status.UNKNOWN, "The server answered with this status.", "See `code`, `details` and `statusDetails`."),
  DRAINING: wire(
    Status.UNAVAILABLE,
    "The server is shutting down and ended the call.",
    "Make it again; another server takes it.",
  ),
  TRANSPORT: local(
    Status.UNAVAILABLE,
    "No connection could be made, or connection or call broke before an answer came. HTTP/2 may say another code.",
    "Is the server up at this target? Does it expect TLS? What is between here and there?",
  ),
  DEADLINE_EXCEEDED: local(
    Status.DEADLINE_EXCEEDED,
    "The deadline passed while the call was under way.",
    "The server may have done the work. Raise the timeout in the contract, or find out what is slow. If it never saw the call: docs/limits.md, “More calls than a connection takes”.",
  ),
  DEADLINE_BEFORE_SEND: local(
    Status.DEADLINE_EXCEEDED,
    "The deadline had passed before anything was sent.",
    "The server has not seen the call: the time went before it, often in the call being served.",
  ),
  CANCELLED: local(
    Status.CANCELLED,
    "The call was cancelled by something other than its caller's signal.",
    "A caller's own cancellation rejects with `signal.reason` instead.",
  ),
  CLIENT_CLOSED: local(
    Status.UNAVAILABLE,
    "The client was closed.",
    "Close a client after its last call, or create another.",
  ),
  REQUEST_NOT_ENCODABLE: local(
    Status.INTERNAL,
    "The request does not fit its message type, or its metadata cannot be sent; nothing was sent.",
    "See `details`. They quote no metadata, which may be secret.",
  ),
  NO_CREDENTIALS: local(
    Status.UNAVAILABLE,
    "No token could be had for the call: nothing was sent. UNAUTHENTICATED where there was none of the caller's to forward.",
    "See `cause`: it is where tokens come from that failed, not the target.",
  ),
  MESSAGE_TOO_LARGE: local(
    Status.RESOURCE_EXHAUSTED,
    "A response is larger than this client takes.",
    "Ask for less, or raise `maxReceiveMessageBytes`. A server that refuses a request as too large says `STATUS`.",
  ),
  RESPONSE_NOT_DECODABLE: local(
    Status.INTERNAL,
    "The response's bytes are no such message.",
    "Do client and server run the same contract? See `cause`.",
  ),
  RESPONSE_COUNT: local(
    Status.INTERNAL,
    "OK without a response, or more than one, where the contract has exactly one.",
    "Do client and server run the same contract?",
  ),
  BATCH_REFUSED: local(
    Status.UNAVAILABLE,
    "Other requests of the batch were refused, and it was not made again without them; nothing was said of this one.",
    "Make the call again if it may be repeated: it joins another batch. `retryStop` says why the client did not; whoever made the wrong requests was told what is wrong.",
  ),
  UNAUTHENTICATED: local(
    Status.UNAUTHENTICATED,
    "On the server: the call came without credentials, or with wrong ones.",
    "Clients see it as `STATUS`. The observer is told what was wrong.",
  ),
  PERMISSION_DENIED: local(
    Status.PERMISSION_DENIED,
    "On the server: the contract does not let this caller call the method.",
    "Clients see it as `STATUS`. The observer is told which scopes were missing.",
  ),
  REFUSED: local(Status.UNKNOWN, "On the server: a handler refused with `fail`.", "Clients see it as `STATUS`."),
  UNEXPECTED: local(
    Status.INTERNAL,
    "An error that is no gRPC error; on the server, one that escaped a handler.",
    "See `cause`, or the server's log: its text is never sent.",
  ),
  ATTEMPT_TIMEOUT: local(
    Status.DEADLINE_EXCEEDED,
    "The attempt ran into the contract's `attempt_timeout`, before the call's deadline.",
    "It is retried where the contract allows it. If all attempts end so, the limit is too short or the server too slow.",
  ),
  RETRY_THROTTLED: local(
    Status.UNAVAILABLE,
    "The attempt failed, and the retry throttle of gRFC A6 denied another: too many of the target's attempts fail.",
    "The target is in trouble; see `failures`. Retries come back as its attempts succeed again.",
  ),
  RETRY_BUDGET_EXHAUSTED: local(
    Status.UNAVAILABLE,
    "The attempt failed, and the target's retry budget had none left.",
    "Too large a share of the target's calls fails; see `failures` and `retry_budget`.",
  ),
  DEADLINE_BEFORE_RETRY: local(
    Status.UNAVAILABLE,
    "The attempt failed, and the wait before the next one did not fit the deadline.",
    "See `failures` for what the server said, such as `RATE_LIMITED`, and `retryAfterMs` for when it wants to be asked again. Raise the timeout, or shorten the backoff.",
  ),
  BREAKER_OPEN: local(
    Status.UNAVAILABLE,
    "The circuit breaker is open: no attempt was sent, or no further one.",
    "`retryAfterMs` says when the next trial is due. What fails is the target; see its own errors.",
  ),
  BULKHEAD_FULL: local(
    Status.RESOURCE_EXHAUSTED,
    "The method's bulkhead has as many calls under way and waiting as it may, or the longest wait was over: no attempt was sent.",
    "Make fewer calls at a time. If the target can take more, raise `bulkhead.max_concurrent`.",
  ),
  LIMIT_REACHED: local(
    Status.RESOURCE_EXHAUSTED,
    "As many calls are under way as the target answers in good time, by the limit that follows its latency: no attempt was sent.",
    "Make fewer calls at a time, or let some wait: `bulkhead.max_queued`. The limit rises as the target gets faster.",
  ),
  CLIENT_THROTTLED: local(
    Status.RESOURCE_EXHAUSTED,
    "The target rejects too many calls, so that the client rejects a share of them itself: no attempt was sent.",
    "The target is overloaded or away; see its own errors. Calls go through as it accepts more of them.",
  ),
  RATE_LIMITED: wire(
    Status.RESOURCE_EXHAUSTED,
    "The server refused the call: its caller has made as many as the method's rate limit allows.",
    "Call less often. `retryAfterMs` says how long to wait, and a retry that has RESOURCE_EXHAUSTED among its `codes` waits so long; where that does not fit the deadline, the call ends with `DEADLINE_BEFORE_RETRY`.",
  ),
  SHED: wire(
    Status.RESOURCE_EXHAUSTED,
    "The server refused the call: it has too much to do, and what matters least is refused first.",
    "See `criticality`; `retryAfterMs` is set for calls that may come back soon. If calls that matter are refused, the server needs more replicas, or a higher limit.",
  ),
  CURSOR_EXPIRED: wire(
    Status.OUT_OF_RANGE,
    "The server no longer has the position to continue after, which is the error's `cursor`.",
    "What came after it is lost to this stream: read the state anew, and watch from there; see `onExpired`.",
  ),
  CURSOR_UNKNOWN: local(
    Status.UNAVAILABLE,
    "The stream broke before it was known where it began, so that reopening it could lose messages.",
    "Give the position to begin at, have the handler call `context.pin`, or say `from_start` in the contract.",
  ),
  STALLED: local(
    Status.UNAVAILABLE,
    "The stream was open, and neither a message nor a heartbeat came for too long.",
    "The server stands still or sends no heartbeats, or something on the way swallows them. The stream is resumed where the contract says so.",
  ),
  BUFFER_FULL: local(
    Status.RESOURCE_EXHAUSTED,
    "More messages came than `collect` or a `buffer` with overflow `error` may hold.",
    "Ask for less, read faster, or raise the bound.",
  ),
  SLOW_SUBSCRIBER: local(
    Status.RESOURCE_EXHAUSTED,
    "On the server: a broadcast's subscriber fell too far behind and was ended.",
    "Clients see it as `STATUS`, and a stream that resumes comes back by itself. Read faster, or raise `maxLagMessages`.",
  ),
} as const satisfies Record<string, ReasonRow>;

/** The name of a reason, such as `"DEADLINE_EXCEEDED"`. */
export type Reason = keyof typeof reasons;
