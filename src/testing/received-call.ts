import type { CallContext } from "../core/call-context.ts";
import type { Clock } from "../core/clock.ts";
import { RpcError } from "../core/errors.ts";
import { PREVIOUS_ATTEMPTS } from "../core/metadata-keys.ts";
import type { Method } from "../core/method.ts";
import type { Metadata } from "../transport/index.ts";

/** What a client sent to a method: its request, or all of them where it streams. */
export type Sent<Handler> = Handler extends (request: infer Request, context: never) => unknown
  ? Request extends AsyncIterable<infer Message>
    ? readonly Message[]
    : Request
  : never;

/** A call as a scripted server saw it. It goes on telling until the call is over. */
export interface ReceivedCall<Name extends string = string, Request = unknown> {
  /** As the contract's definition names it: `getOrder`. */
  readonly method: Name;
  /** The request; where the client streams, all that came so far. */
  readonly request: Request;
  /** What came with the call. */
  readonly metadata: Metadata;
  /** How many attempts the client made before this one: `grpc-previous-rpc-attempts`, which a first one does not have. */
  readonly previousAttempts: number;
  /** What was left of the call's time when it came, in milliseconds; `Infinity` without a deadline. */
  readonly remainingMs: number;
  /** When it came, in milliseconds on the monotonic scale of `performance.now()`. */
  readonly receivedAt: number;
  /** Whether an expectation answers it. */
  readonly expected: boolean;
  /** `left`: the client cancelled, its deadline passed or its connection broke before the answer's end. */
  readonly state: "open" | "answered" | "left";
}

/** Keeps what a call brings. */
export class CallRecord implements ReceivedCall {
  readonly method: string;
  readonly request: unknown;
  readonly metadata: Metadata;
  readonly previousAttempts: number;
  readonly remainingMs: number;
  readonly receivedAt: number;
  expected = false;
  state: "open" | "answered" | "left" = "open";

  constructor(key: string, { requestStream }: Method, request: unknown, context: CallContext, clock: Clock) {
    this.method = key;
    this.request = requestStream ? [] : request;
    this.metadata = context.metadata;
    this.previousAttempts = Number(this.metadata.get(PREVIOUS_ATTEMPTS) ?? 0);
    this.remainingMs = context.remainingMs();
    this.receivedAt = clock.now();
    // Out of the way of logs, which would print the metadata's functions.
    Object.defineProperty(this, "metadata", { enumerable: false });
  }

  /** Keeps what the client streams, until it has sent everything. */
  async collect(requests: AsyncIterable<unknown>): Promise<void> {
    for await (const request of requests) (this.request as unknown[]).push(request);
  }

  /** The handler is done. A server that closes has told the client so: that one has not left. */
  over({ signal }: CallContext): void {
    const { aborted, reason } = signal;
    const closed = reason instanceof RpcError && reason.reason === "DRAINING";
    this.state = aborted && !closed ? "left" : "answered";
  }
}
