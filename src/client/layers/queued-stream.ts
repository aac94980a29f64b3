import type { Call } from "../../core/call.ts";
import { DONE, type MessageStream, type StreamWatcher, Watchers } from "../../core/message-stream.ts";
import { endOf } from "../../core/stream-end.ts";

type Next = IteratorResult<unknown, undefined>;

/** What a stream waits for before it is opened. */
export interface Awaited<Permit> {
  /** What it is opened with; rejects with what ended the wait. */
  readonly permit: Promise<Permit>;
  /** Ends the wait. */
  leave(): void;
}

/** A stream that waits for its turn before it is opened; from then on it is the attempt's own. */
export class QueuedStream<Permit extends { release(): void }> implements MessageStream {
  readonly #watchers = new Watchers();
  readonly #turn: Awaited<Permit>;
  readonly #call: Call;
  /** The stream; undefined if it was never opened. */
  readonly #opened: Promise<MessageStream | undefined>;
  #stream: MessageStream | undefined;
  #failure: { readonly error: unknown } | undefined;
  #left = false;
  /** How many `next()` were called before it was open, and have not ended: later ones stand behind them. */
  #early = 0;

  /** @param open opens it with the permit, and releases that whatever happens. */
  constructor(turn: Awaited<Permit>, open: (permit: Permit) => MessageStream, call: Call) {
    this.#turn = turn;
    this.#call = call;
    this.#opened = turn.permit.then((permit) => this.#open(permit, open)).catch((error) => this.#fail(error));
  }

  watch(watcher: StreamWatcher): void {
    this.#watchers.add(watcher);
  }

  next(): Promise<Next> {
    if (this.#left) return Promise.resolve(DONE);
    if (this.#stream && this.#early === 0) return this.#stream.next();
    this.#early += 1;
    return this.#opened
      .then((stream) => stream?.next() ?? this.#over())
      .finally(() => {
        this.#early -= 1;
      });
  }

  return(): Promise<Next> {
    if (this.#stream) return this.#stream.return();
    this.#left = true;
    this.#failure = undefined;
    this.#watchers.end({ outcome: "cancelled" });
    this.#turn.leave();
    return Promise.resolve(DONE);
  }

  #open(permit: Permit, open: (permit: Permit) => MessageStream): MessageStream | undefined {
    // Its turn came in the moment in which its reader left.
    if (this.#left) {
      permit.release();
      return undefined;
    }
    const stream = open(permit);
    stream.watch({
      onHeaders: (header) => this.#watchers.headers(() => header),
      onFirstMessage: () => this.#watchers.firstMessage(),
      onEnd: (end) => this.#watchers.end(end),
    });
    this.#stream = stream;
    return stream;
  }

  #fail(error: unknown): undefined {
    if (this.#left) return;
    this.#failure = { error };
    this.#watchers.end(endOf(error, this.#call));
  }

  /** The first who asks hears why it was not opened. */
  #over(): Next {
    const failure = this.#failure;
    this.#failure = undefined;
    if (failure) throw failure.error;
    return DONE;
  }
}
