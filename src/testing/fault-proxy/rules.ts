import type { StatusName } from "../../core/status.ts";

/** HTTP/2's error codes by name (RFC 9113, 7), with the numbers that go over the wire. */
export const HTTP2_CODES = {
  NO_ERROR: 0,
  PROTOCOL_ERROR: 1,
  INTERNAL_ERROR: 2,
  FLOW_CONTROL_ERROR: 3,
  SETTINGS_TIMEOUT: 4,
  STREAM_CLOSED: 5,
  FRAME_SIZE_ERROR: 6,
  REFUSED_STREAM: 7,
  CANCEL: 8,
  COMPRESSION_ERROR: 9,
  CONNECT_ERROR: 10,
  ENHANCE_YOUR_CALM: 11,
  INADEQUATE_SECURITY: 12,
  HTTP_1_1_REQUIRED: 13,
} as const;

/** An error code of HTTP/2, such as `"REFUSED_STREAM"`. */
export type Http2Code = keyof typeof HTTP2_CODES;

/**
 * Which connections or calls a rule takes; at most one of these. Default: all. A rule counts everything that it is
 * for, also what an earlier rule takes, so that one rule's choice does not depend on another's.
 */
export interface Which {
  /** Each n-th: the n-th, the 2n-th and so on. */
  readonly every?: number;
  /** So many from the start. */
  readonly first?: number;
  /** These, counted from 1. */
  readonly nth?: readonly number[];
  /** Each with this probability, from 0 to 1, drawn from the proxy's seed. */
  readonly ratio?: number;
}

/** A direction: what goes to the client, or what goes to the server. */
export type Towards = "client" | "server";

/** After which byte a fault of a connection comes. */
export interface AfterBytes {
  /** How many bytes pass before, in the given direction. Default: 0. */
  readonly afterBytes?: number;
  /** The direction in which bytes are counted. Default: client. */
  readonly towards?: Towards;
}

/** What can happen to the bytes of a connection. */
export type ConnectionFault =
  /** Resets the connection, on both sides, once so many bytes have passed. */
  | ({ readonly fault: "cut" } & AfterBytes)
  /** Lets nothing pass any more, in either direction, once so many bytes have passed, and tells nobody. */
  | ({ readonly fault: "half-open" } & AfterBytes)
  /** Flips one bit of the byte that follows so many bytes; which one, the seed decides. */
  | ({ readonly fault: "corrupt" } & AfterBytes)
  /** Accepts the connection and says nothing, ever; the server is not dialled. */
  | { readonly fault: "silent" }
  /** Has all bytes arrive so many milliseconds later, in the given direction. Default: in both. */
  | { readonly fault: "delay"; readonly delayMs: number; readonly towards?: Towards }
  /** Lets at most so many bytes pass per second, in the given direction. Default: in each of both. */
  | { readonly fault: "throttle"; readonly bytesPerSecond: number; readonly towards?: Towards };

/** When a fault of a call comes. */
export interface AfterMessages {
  /**
   * After how many response messages; 0: after the response headers. Where the answer is shorter, it passes untouched.
   * Default: at once, and the server never sees the call.
   */
  readonly afterMessages?: number;
}

/** Trailers of an injected status: text, or bytes under keys that end in `-bin`; a list for a key that is repeated. */
export type StatusTrailer = Readonly<Record<string, TrailerValue | readonly TrailerValue[]>>;

/** One value of a trailer. */
export type TrailerValue = string | Uint8Array;

/** What can happen to a call. */
export type CallFault =
  /** Resets the call's stream with a code (RST_STREAM). Default: INTERNAL_ERROR. */
  | ({ readonly fault: "reset"; readonly code?: Http2Code } & AfterMessages)
  /** Resets the connection that the call is on, and with it all other calls on it. */
  | ({ readonly fault: "cut" } & AfterMessages)
  /** Says nothing more of the call until the client leaves. */
  | ({ readonly fault: "silent" } & AfterMessages)
  /**
   * Sends GOAWAY on the call's connection and ends it: with NO_ERROR, the default, once its calls are over, with any
   * other code at once. `lastStream` is the last stream that is served: `this` call, which is the default, the
   * `previous` one, so that this call never reaches the server and is reset as refused, or a stream's number.
   */
  | { readonly fault: "goaway"; readonly code?: Http2Code; readonly lastStream?: "this" | "previous" | number }
  /**
   * Answers at once with a status alone; the server never sees the call. `details` is the status's text, default
   * `"injected"`; `pushbackMs` goes into `grpc-retry-pushback-ms`, negative: do not retry.
   */
  | {
      readonly fault: "status";
      readonly code: StatusName;
      readonly details?: string;
      readonly pushbackMs?: number;
      readonly trailer?: StatusTrailer;
    }
  /**
   * Has the server do the work, and loses its whole answer when that is complete. The client sees a `reset`, which is
   * the default, with a code, default INTERNAL_ERROR; its connection `cut`; or nothing (`silent`).
   */
  | { readonly fault: "drop"; readonly clientSees?: "reset" | "cut" | "silent"; readonly code?: Http2Code }
  /** Holds the answer back for so many milliseconds from the moment when it begins. */
  | { readonly fault: "delay"; readonly delayMs: number };

/** What happens to connections. */
export type ConnectionRule = { readonly on: "connection" } & Which & ConnectionFault;

/** What happens to calls; every attempt is one. */
export type CallRule = {
  readonly on: "call";
  /** The method, as `GetOrder` or `/shop.orders.v1.OrderService/GetOrder`. Default: all methods. */
  readonly method?: string;
} & Which &
  CallFault;

/** What a fault proxy does, and to which connections or calls. Plain data, to be printed beside the seed. */
export type FaultRule = ConnectionRule | CallRule;
