import type { CallContext } from "../core/call-context.ts";
import { type Clock, sleep } from "../core/clock.ts";
import { type FailOptions, fail, RpcError, type TrailerInit } from "../core/errors.ts";
import { forbiddenKey } from "../core/metadata-keys.ts";
import { EncodedMessage, encodeMessage, type Method } from "../core/method.ts";
import type { StatusName } from "../core/status.ts";
import { Metadata } from "../transport/index.ts";
import type { EndOptions, FailureOptions, StreamAnswer, UnaryAnswer } from "./answer.ts";
import { matches } from "./matches.ts";
import { show } from "./show.ts";

/** A call that a script answers. */
export interface Playing {
  readonly context: CallContext;
  /** Resolves once the client has sent everything. */
  readonly requests: Promise<void>;
}

type Step = EncodedMessage | ((playing: Playing) => unknown);

/** One expectation: which calls it is for, how many of them, and what they are answered. */
export class Script implements UnaryAnswer<unknown>, StreamAnswer<unknown> {
  readonly #name: string;
  readonly #method: Method;
  readonly #match: unknown;
  readonly #clock: Clock;
  readonly #steps: Step[] = [];
  #ended = false;
  #taken = 0;
  #count = 1;

  /** @param match what a call must be like; undefined: any will do. */
  constructor(name: string, method: Method, match: unknown, clock: Clock) {
    this.#name = name;
    this.#method = method;
    this.#match = match;
    this.#clock = clock;
  }

  header(header: TrailerInit): this {
    const metadata = this.#checked(() => toMetadata(header));
    return this.#add("header", ({ context }) => {
      copy(metadata, context.header);
      context.sendHeader();
    });
  }

  delay(delayMs: number): this {
    if (!(delayMs >= 0 && delayMs < Number.POSITIVE_INFINITY)) {
      throw this.#misuse(`delay takes milliseconds, not ${delayMs}; hang() waits for ever`);
    }
    return this.#add("delay", ({ context }) => sleep(this.#clock, delayMs, context.signal));
  }

  send(response: unknown): this {
    if (!this.#method.responseStream) throw this.#misuse("it has one response: use reply");
    return this.#add("send", this.#encode(response));
  }

  reply(response: unknown, options: EndOptions = {}): this {
    if (this.#method.responseStream) throw this.#misuse("it streams its responses: use send and end");
    const message = this.#encode(response);
    return this.#add("reply", (playing) => playing.requests)
      .#add("reply", message)
      .#end("reply", this.#trailer(options));
  }

  end(options: EndOptions = {}): this {
    if (!this.#method.responseStream) throw this.#misuse("it has one response: use reply");
    return this.#end("end", this.#trailer(options));
  }

  fail(code: Exclude<StatusName, "OK">, { message = "scripted", ...options }: FailureOptions = {}): this {
    const error = this.#checked(() => refusal(code, message, options));
    return this.#end("fail", () => {
      throw error;
    });
  }

  hang(): this {
    return this.#end("hang", ({ context }) => sleep(this.#clock, Number.POSITIVE_INFINITY, context.signal));
  }

  times(count: number): void {
    if (!(count >= 1 && (Number.isInteger(count) || count === Number.POSITIVE_INFINITY))) {
      throw this.#misuse(`times takes a whole number from 1 on, or Infinity; not ${count}`);
    }
    if (this.#taken > 0) throw this.#inUse();
    this.#count = count;
  }

  /** Whether it is to say which calls it is for by what they bring. */
  get choosy(): boolean {
    return this.#match !== undefined;
  }

  /** Whether it answers any number of calls, none included. */
  get unlimited(): boolean {
    return this.#count === Number.POSITIVE_INFINITY;
  }

  /** How many calls it still waits for. */
  get missing(): number {
    return this.unlimited ? 0 : this.#count - this.#taken;
  }

  /** Whether it says how a call ends. A stream ends by itself. */
  get complete(): boolean {
    return this.#ended || this.#method.responseStream;
  }

  matches(request: unknown): boolean {
    if (!this.choosy) return true;
    return typeof this.#match === "function" ? Boolean(this.#match(request)) : matches(request, this.#match);
  }

  take(): void {
    this.#taken += 1;
  }

  async *play(playing: Playing): AsyncGenerator<EncodedMessage> {
    for (const step of this.#steps) {
      if (step instanceof EncodedMessage) yield step;
      else await step(playing);
    }
  }

  /** What it is for, as a failed test shows it. */
  get wanted(): string {
    return this.choosy ? show(this.#match) : "any request";
  }

  #add(word: string, step: Step): this {
    if (this.#ended) throw this.#misuse(`${word}() comes after its end; call expect() again for another call`);
    if (this.#taken > 0) throw this.#inUse();
    this.#steps.push(step);
    return this;
  }

  #end(word: string, step: Step): this {
    this.#add(word, step);
    this.#ended = true;
    return this;
  }

  /** Now, where the test's author sees what is wrong with it. */
  #encode(response: unknown): EncodedMessage {
    return this.#checked(() => new EncodedMessage(encodeMessage(this.#method.response, response)));
  }

  /** Adds trailers when the call ends. */
  #trailer({ trailer = {} }: EndOptions): Step {
    const metadata = this.#checked(() => toMetadata(trailer));
    return ({ context }) => copy(metadata, context.trailer);
  }

  /** @throws TypeError if what is to be sent cannot be. */
  #checked<T>(make: () => T): T {
    try {
      return make();
    } catch (cause) {
      throw this.#misuse(`this cannot be sent: ${cause instanceof Error ? cause.message : String(cause)}`);
    }
  }

  #inUse(): TypeError {
    return this.#misuse("it answers a call already; script it before the call is made");
  }

  #misuse(problem: string): TypeError {
    return new TypeError(`expect(${show(this.#name)}): ${problem}`);
  }
}

function toMetadata(values: TrailerInit): Metadata {
  const metadata = new Metadata(values);
  for (const [key] of metadata) {
    const problem = forbiddenKey(key);
    if (problem) throw new TypeError(problem);
  }
  return metadata;
}

function copy(from: Metadata, to: Metadata): void {
  for (const [key, values] of from) to.set(key, values);
}

/** What `fail` throws in a handler. */
function refusal(code: Exclude<StatusName, "OK">, message: string, options: FailOptions): RpcError {
  try {
    return fail(code, message, options);
  } catch (error) {
    if (error instanceof RpcError) return error;
    throw error;
  }
}
