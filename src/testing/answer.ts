import type { FailOptions, TrailerInit } from "../core/errors.ts";
import type { StatusName } from "../core/status.ts";

/** How often an expectation answers. */
export interface Repeatable {
  /**
   * Has it answer `count` calls, one after the other; `Infinity`: as many as come, none included, and what it does not
   * match is left to the next expectation. Default: 1.
   */
  times(count: number): void;
}

/** What goes with an answer's end. */
export interface EndOptions {
  /** Trailers to send. Default: none. */
  readonly trailer?: TrailerInit | undefined;
}

/** What goes with a failure. */
export interface FailureOptions extends Omit<FailOptions, "cause"> {
  /** The status's text. Default: "scripted". */
  readonly message?: string | undefined;
}

/** What every answer may begin and end with. */
export interface Answer extends Repeatable {
  /** Sends response headers at this point. Where none are scripted, they go with the first message. */
  header(header: TrailerInit): this;
  /** Waits, in milliseconds, unless the client leaves. */
  delay(delayMs: number): this;
  /** Ends the call with a status. */
  fail(code: Exclude<StatusName, "OK">, options?: FailureOptions): Repeatable;
  /** Says nothing more until the client leaves: no heartbeat either. */
  hang(): Repeatable;
}

/** Answers a method with one response. */
export interface UnaryAnswer<Response> extends Answer {
  /** Answers; where the client streams, once it has sent everything. */
  reply(response: Response, options?: EndOptions): Repeatable;
}

/** Answers a method with a stream of responses. It ends well after the last one unless the script says otherwise. */
export interface StreamAnswer<Response> extends Answer {
  /** Sends one response. */
  send(response: Response): this;
  /** Ends the stream well, as it does by itself; for trailers, and to say that there is no response. */
  end(options?: EndOptions): Repeatable;
}

/** How a method is answered, by its handler's type. */
export type AnswerOf<Handler> = Handler extends (request: never, context: never) => AsyncIterable<infer Response>
  ? StreamAnswer<Response>
  : Handler extends (request: never, context: never) => Promise<infer Response>
    ? UnaryAnswer<Response>
    : never;
