import type { Call, Layer, StreamHandler } from "../../core/call.ts";
import type { Clock, Timer } from "../../core/clock.ts";
import { RpcError } from "../../core/errors.ts";
import { DONE, type MessageStream, type StreamWatcher, Watchers } from "../../core/message-stream.ts";
import { Status } from "../../core/status.ts";

/**
 * Gives each attempt a time of its own: as a deadline on the wire for one response; on a stream, which may stay open,
 * until its first headers.
 */
export function attemptDeadlineLayer(timeoutMs: number, clock: Clock): Layer {
  return {
    unary: (next) => async (call) => {
      const deadline = clock.now() + timeoutMs;
      if (deadline >= call.deadline) return next(call);
      try {
        return await next({ ...call, deadline });
      } catch (error) {
        throw ranIntoIt(error) && clock.now() < call.deadline ? tooLong(call, timeoutMs, error) : error;
      }
    },
    stream: (next) => (call) => {
      const fits = clock.now() + timeoutMs < call.deadline;
      return fits ? new HeadersInTime(next, call, timeoutMs, clock) : next(call);
    },
  };
}

/**
 * A DEADLINE_EXCEEDED of the server's is taken for ours too: it has been told this deadline, and a call of its own
 * leaves some of it for the way back.
 */
function ranIntoIt(error: unknown): error is RpcError {
  return error instanceof RpcError && error.code === Status.DEADLINE_EXCEEDED;
}

function tooLong({ method }: Call, timeoutMs: number, error?: RpcError): RpcError {
  const details = `the attempt took longer than ${timeoutMs} ms`;
  const said = { reason: "ATTEMPT_TIMEOUT", origin: "local", details } as const;
  return error ? error.with(said) : new RpcError({ path: method.path, ...said });
}

/** A stream that fails if its headers take too long; from then on it is the attempt's own. */
class HeadersInTime implements MessageStream {
  readonly #watchers = new Watchers();
  readonly #stream: MessageStream;
  readonly #begin: () => Timer;
  #timer: Timer | undefined;
  #failure: RpcError | undefined;

  constructor(open: StreamHandler, call: Call, timeoutMs: number, clock: Clock) {
    this.#begin = () => clock.setTimer(timeoutMs, () => this.#expire(tooLong(call, timeoutMs)));
    this.#stream = open(call);
    this.#stream.watch({
      onHeaders: (header) => {
        this.#timer?.cancel();
        this.#watchers.headers(() => header);
      },
      onFirstMessage: () => {
        this.#timer?.cancel();
        this.#watchers.firstMessage();
      },
      onEnd: (end) => {
        this.#timer?.cancel();
        if (!this.#failure) this.#watchers.end(end);
      },
    });
  }

  watch(watcher: StreamWatcher): void {
    this.#watchers.add(watcher);
  }

  async next(): Promise<IteratorResult<unknown, undefined>> {
    this.#timer ??= this.#begin();
    const result = await this.#stream.next();
    const failure = this.#failure;
    if (!failure || !result.done) return result;
    this.#failure = undefined;
    throw failure;
  }

  return(): Promise<IteratorResult<unknown, undefined>> {
    this.#failure = undefined;
    return this.#stream.return().then(() => DONE);
  }

  #expire(failure: RpcError): void {
    this.#failure = failure;
    void this.#stream.return();
    this.#watchers.end({ outcome: "error", error: failure });
  }
}
