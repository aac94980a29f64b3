import type { Call } from "../core/call.ts";
import type { Clock } from "../core/clock.ts";
import { DONE, type MessageStream, type StreamWatcher, Watchers } from "../core/message-stream.ts";
import { endOf } from "../core/stream-end.ts";
import { NiceWire } from "./nice-wire.ts";

type Next = IteratorResult<unknown, undefined>;

/** An attempt with a stream of responses over nice-grpc. */
export class NiceStream implements MessageStream {
  readonly #watchers = new Watchers();
  readonly #call: Call;
  readonly #wire: NiceWire;
  #messages: AsyncGenerator<unknown, unknown, undefined> | undefined;
  #ended = false;
  #failure: { readonly error: unknown } | undefined;

  constructor(call: Call, clock: Clock, maxMetadataBytes: number | undefined) {
    this.#call = call;
    this.#wire = new NiceWire(call, clock, maxMetadataBytes);
  }

  watch(watcher: StreamWatcher): void {
    this.#watchers.add(watcher);
  }

  async next(): Promise<Next> {
    if (this.#ended) return this.#over();
    try {
      this.#messages ??= this.#wire.begin(
        (header) => this.#watchers.headers(() => header),
        () => this.#giveUp(),
      );
      const result = await this.#messages.next();
      if (this.#ended) return this.#over();
      if (result.done) return this.#succeed();
      this.#watchers.firstMessage();
      return result as Next;
    } catch (error) {
      this.#fail(this.#wire.toError(error));
      return this.#over();
    }
  }

  /** `return()` of nice-grpc's generator would wait for a pending `next()`; cancelling the call ends both. */
  return(): Promise<Next> {
    this.#failure = undefined;
    if (!this.#ended) {
      this.#wire.cancel();
      this.#end();
      this.#letGo();
      this.#watchers.end({ outcome: "cancelled" });
    }
    return Promise.resolve(DONE);
  }

  #succeed(): Next {
    const { trailer } = this.#wire;
    this.#end();
    this.#watchers.end({ outcome: "ok", trailer });
    return DONE;
  }

  /** The caller left or its deadline passed. Watchers hear of it now: nobody may ask for another message. */
  #giveUp(): void {
    this.#fail(this.#wire.toError(undefined));
    this.#letGo();
  }

  #fail(error: unknown): void {
    if (this.#ended) return;
    this.#end();
    this.#failure = { error };
    this.#watchers.end(endOf(error, this.#call));
  }

  /** The stream after its end: fails once if it failed. */
  #over(): Next {
    const failure = this.#failure;
    this.#failure = undefined;
    if (failure) throw failure.error;
    return DONE;
  }

  #end(): void {
    this.#ended = true;
    this.#wire.end();
  }

  #letGo(): void {
    this.#messages?.return(undefined).then(undefined, () => {});
  }
}
