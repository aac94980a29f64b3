import type { Call, Layer, StreamHandler } from "../../core/call.ts";
import type { Clock, Timer } from "../../core/clock.ts";
import { RpcError } from "../../core/errors.ts";
import { type MessageStream, type StreamEnd, type StreamWatcher, Watchers } from "../../core/message-stream.ts";
import { Stall, type StallOptions } from "../../policy/stall.ts";
import type { Report } from "../report.ts";

/** What the streams of a method are watched with. */
export interface StallContext {
  readonly options: StallOptions;
  /** Whether a message is a heartbeat that nobody above looks at; undefined if all are handed on. */
  readonly isHidden: ((message: unknown) => boolean) | undefined;
  readonly clock: Clock;
  readonly report: Report | undefined;
}

/** Ends a stream on which nothing has come for too long, heartbeats included (rule S6), and keeps these to itself. */
export function stallLayer(context: StallContext): Layer {
  return {
    unary: (next) => next,
    stream: (next) => (call) => new StallStream(next, call, context),
  };
}

type Next = IteratorResult<unknown, undefined>;

class StallStream implements MessageStream {
  readonly #watchers = new Watchers();
  readonly #context: StallContext;
  readonly #call: Call;
  readonly #stream: MessageStream;
  readonly #stall: Stall;
  #timer: Timer | undefined;
  #over = false;
  /** How many ask the stream for a message. */
  #waiting = 0;
  /** How many ask this one: one after the other, where one may take several messages off the stream. */
  #steps = 0;
  #lastStep: Promise<unknown> = Promise.resolve();
  #failure: RpcError | undefined;

  constructor(open: StreamHandler, call: Call, context: StallContext) {
    this.#context = context;
    this.#call = call;
    this.#stall = new Stall(context.options);
    this.#stream = open(call);
    this.#stream.watch({
      onHeaders: (header) => this.#watchers.headers(() => header),
      onFirstMessage: () => this.#watchers.firstMessage(),
      onEnd: (end) => this.#end(end),
    });
  }

  watch(watcher: StreamWatcher): void {
    this.#watchers.add(watcher);
  }

  next(): Promise<Next> {
    const queues = this.#steps > 0 && this.#context.isHidden !== undefined;
    this.#steps += 1;
    const step = queues ? this.#lastStep.then(this.#step, this.#step) : this.#step();
    this.#lastStep = step;
    return step;
  }

  return(): Promise<Next> {
    this.#failure = undefined;
    return this.#stream.return();
  }

  readonly #step = (): Promise<Next> => this.#ask().then(this.#onNext, this.#onError);

  readonly #onNext = (result: Next): Next | Promise<Next> => {
    this.#progressed();
    if (!result.done && this.#context.isHidden?.(result.value)) return this.#search();
    this.#steps -= 1;
    return this.#checked(result);
  };

  readonly #onError = (error: unknown): never => {
    this.#steps -= 1;
    this.#progressed();
    throw error;
  };

  /** The next message that is no heartbeat: on a quiet stream, it may be days until it comes. */
  async #search(): Promise<Next> {
    try {
      for (;;) {
        const result = await this.#ask().finally(() => this.#progressed());
        if (result.done || !this.#context.isHidden?.(result.value)) return this.#checked(result);
      }
    } finally {
      this.#steps -= 1;
    }
  }

  #ask(): Promise<Next> {
    this.#waiting += 1;
    if (!this.#over) {
      this.#stall.waits();
      this.#timer ??= this.#nextInterval();
    }
    return this.#stream.next();
  }

  #progressed(): void {
    this.#waiting -= 1;
    this.#stall.progressed();
    if (this.#waiting > 0) this.#stall.waits();
  }

  #nextInterval(): Timer {
    return this.#context.clock.setTimer(this.#context.options.intervalMs, () => this.#intervalOver());
  }

  #intervalOver(): void {
    if (this.#over) return;
    if (!this.#stall.intervalOver()) {
      this.#timer = this.#nextInterval();
      return;
    }
    const { missed, intervalMs } = this.#context.options;
    const details = `neither a message nor a heartbeat in ${missed} intervals of ${intervalMs} ms`;
    const error = new RpcError({ path: this.#call.method.path, reason: "STALLED", details });
    this.#context.report?.(this.#call, "stalled", { missed, intervalMs });
    this.#failure = error;
    this.#end({ outcome: "error", error });
    void this.#stream.return();
  }

  /** A stream that was left because it stalled ends with that, once. */
  #checked(result: Next): Next {
    const failure = this.#failure;
    if (!result.done || !failure) return result;
    this.#failure = undefined;
    throw failure;
  }

  #end(end: StreamEnd): void {
    this.#over = true;
    this.#timer?.cancel();
    this.#watchers.end(end);
  }
}
