import { type Call, type Layer, limited, type StreamHandler } from "../../core/call.ts";
import type { Clock, Timer } from "../../core/clock.ts";
import { RpcError } from "../../core/errors.ts";
import { type MessageStream, type StreamWatcher, Watchers } from "../../core/message-stream.ts";
import { ranIntoDeadline } from "./ran-into-deadline.ts";

/**
 * Gives each attempt a time of its own: as a deadline on the wire for one response; on a stream, which may stay open,
 * until its first headers.
 */
export function attemptDeadlineLayer(timeoutMs: number, clock: Clock): Layer {
  return {
    unary: (next) => (call) => {
      const deadline = call.startedAt + timeoutMs;
      if (deadline >= call.deadline) return next(call);
      return next(limited(call, deadline, call.signal)).catch((error) => {
        const now = clock.now();
        throw now < call.deadline && ranIntoIt(error, deadline - now) ? tooLong(call, timeoutMs, error) : error;
      });
    },
    stream: (next) => (call) => {
      const fits = call.startedAt + timeoutMs < call.deadline;
      return fits ? new HeadersInTime(next, call, timeoutMs, clock) : next(call);
    },
  };
}

/** What was never sent has run into nothing. */
function ranIntoIt(error: unknown, remainingMs: number): error is RpcError {
  return ranIntoDeadline(error, remainingMs) && error.attempts > 0;
}

function tooLong({ method }: Call, timeoutMs: number, error?: RpcError): RpcError {
  const details = `the attempt took longer than ${timeoutMs} ms`;
  const said = { reason: "ATTEMPT_TIMEOUT", origin: "local", details } as const;
  return error ? error.with(said) : new RpcError({ path: method.path, ...said });
}

type Next = IteratorResult<unknown, undefined>;

/** A stream that fails if its headers take too long; from then on it is the attempt's own. */
class HeadersInTime implements MessageStream {
  readonly #watchers = new Watchers();
  readonly #stream: MessageStream;
  readonly #begin: () => Timer;
  #timer: Timer | undefined;
  /** Whether it need not be watched any more: headers came, or the end. */
  #decided = false;
  #failure: RpcError | undefined;

  constructor(open: StreamHandler, call: Call, timeoutMs: number, clock: Clock) {
    this.#begin = () => clock.setTimer(timeoutMs, () => this.#expire(tooLong(call, timeoutMs)));
    this.#stream = open(call);
    this.#stream.watch({
      onHeaders: (header) => {
        this.#decide();
        this.#watchers.headers(() => header);
      },
      onFirstMessage: () => {
        this.#decide();
        this.#watchers.firstMessage();
      },
      onEnd: (end) => {
        this.#decide();
        if (!this.#failure) this.#watchers.end(end);
      },
    });
  }

  watch(watcher: StreamWatcher): void {
    this.#watchers.add(watcher);
  }

  next(): Promise<Next> {
    if (this.#decided) return this.#stream.next();
    this.#timer ??= this.#begin();
    return this.#stream.next().then((result) => {
      const failure = this.#failure;
      if (!failure || !result.done) return result;
      this.#failure = undefined;
      throw failure;
    });
  }

  return(): Promise<Next> {
    this.#failure = undefined;
    return this.#stream.return();
  }

  #decide(): void {
    this.#decided = true;
    this.#timer?.cancel();
  }

  #expire(failure: RpcError): void {
    this.#failure = failure;
    void this.#stream.return();
    this.#watchers.end({ outcome: "error", error: failure });
  }
}
