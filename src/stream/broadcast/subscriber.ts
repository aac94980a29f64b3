import { DONE } from "../../core/message-stream.ts";
import { tell } from "../../core/warning.ts";
import type { BroadcastLog } from "../../policy/broadcast-log.ts";
import { BroadcastReader, type ReaderRules } from "../../policy/broadcast-reader.ts";
import { cursorGone, slowSubscriber } from "./errors.ts";
import { Replay, type ReplaySource } from "./replay.ts";
import type { SubscribeOptions, Subscription } from "./subscription.ts";

type Result<Message> = IteratorResult<Message, undefined>;

/** How a subscription ends, unless well. */
interface Failure {
  readonly error: unknown;
}

/** What a broadcast shares with its subscribers. */
export interface Hub<Message, Cursor> {
  readonly log: BroadcastLog<Message, Cursor>;
  readonly rules: ReaderRules<Message, Cursor>;
  readonly replay: ReplaySource<Message, Cursor> | undefined;
  /** Those that read, from their first `next()` to their end. */
  readonly subscribers: Set<Subscriber<Message, Cursor>>;
  /** Those of them that have read everything and want more: whoever publishes wakes them. */
  readonly waiting: Set<Subscriber<Message, Cursor>>;
  /** Set once nothing more is published: what those end with who have read everything. */
  closed: Failure | undefined;
  readonly counts: { dropped: number; disconnected: number };
}

/**
 * A subscription: promises around a `BroadcastReader`. Until its first `next()` nobody knows of it, so that one that is
 * never read leaves nothing behind.
 */
export class Subscriber<Message, Cursor> implements Subscription<Message, Cursor> {
  readonly #hub: Hub<Message, Cursor>;
  readonly #reader: BroadcastReader<Message, Cursor>;
  readonly #source: ReplaySource<Message, Cursor> | undefined;
  readonly #signal: AbortSignal | undefined;
  readonly #onAbort = () => this.#end({ error: this.#signal?.reason });
  /** Calls of `next()` that wait for their message, in their order. */
  #reads: PromiseWithResolvers<Result<Message>>[] = [];
  #replay: Replay<Message> | undefined;
  #state: "unread" | "open" | "over" = "unread";
  /** What the next `next()` rejects with, once it is over. */
  #untold: Failure | undefined;
  /** Somebody goes through the reads already: a filter that publishes or reads comes back here, and so does a replay. */
  #isBusy = false;

  constructor(hub: Hub<Message, Cursor>, options: SubscribeOptions<Message, Cursor>) {
    const { after, filter, replay = hub.replay, signal, onDropped } = options;
    this.#hub = hub;
    this.#source = replay;
    this.#signal = signal;
    const dropped = (count: number) => {
      hub.counts.dropped += count;
      if (onDropped) tell("a broadcast's onDropped threw", () => onDropped(count));
    };
    const canReplay = replay !== undefined;
    this.#reader = new BroadcastReader(hub.log, hub.rules, { after, filter, canReplay, onDropped: dropped });
  }

  get cursor(): Cursor | undefined {
    return this.#reader.cursor;
  }

  /** See `BroadcastReader.lag`. */
  get lag(): number {
    return this.#reader.lag;
  }

  /** Whether it reads from a replay. */
  get isReplaying(): boolean {
    return this.#replay !== undefined;
  }

  next(): Promise<Result<Message>> {
    if (this.#state === "unread") this.#open();
    if (this.#state === "over") return this.#afterwards();
    const read = Promise.withResolvers<Result<Message>>();
    this.#reads.push(read);
    this.wake();
    return read.promise;
  }

  return(): Promise<Result<Message>> {
    this.#end(undefined);
    this.#untold = undefined;
    return this.#afterwards();
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.return();
  }

  /** Answers the reads that can be answered now. */
  wake(): void {
    if (this.#isBusy) return;
    this.#isBusy = true;
    let step: Step = "more";
    while (this.#reads.length > 0 && step === "more") step = this.#step();
    this.#isBusy = false;
    if (this.#reads.length === 0) this.#hub.waiting.delete(this);
    else if (step === "wait") this.#hub.waiting.add(this);
    else if (step === "replay") void this.#readReplay();
  }

  #open(): void {
    this.#state = "open";
    this.#hub.subscribers.add(this);
    if (this.#signal?.aborted) this.#onAbort();
    else this.#signal?.addEventListener("abort", this.#onAbort, { once: true });
  }

  /** Answers one read, or all of them by ending; or says why it cannot. */
  #step(): Step {
    const { rules, closed, counts } = this.#hub;
    try {
      const step = this.#reader.next();
      if (step === "replay") return step;
      if (step === "wait") return closed ? this.#end(closed.error === undefined ? undefined : closed) : step;
      if (step === "expired") return this.#end({ error: cursorGone(this.cursor) });
      if (step !== "slow") return this.#deliver(step.message);
      counts.disconnected += 1;
      return this.#end({ error: slowSubscriber(this.lag, rules.maxLagMessages) });
    } catch (error) {
      return this.#end({ error });
    }
  }

  #deliver(message: Message): "more" {
    this.#reads.shift()?.resolve({ done: false, value: message });
    return "more";
  }

  /** Reads from the replay as long as somebody wants to, and until the log has the rest. */
  async #readReplay(): Promise<void> {
    this.#isBusy = true;
    try {
      while (this.#reads.length > 0 && this.#reader.mustReplay) await this.#readReplayed();
    } catch (error) {
      this.#end({ error });
    }
    this.#isBusy = false;
    this.wake();
  }

  async #readReplayed(): Promise<void> {
    this.#replay ??= this.#startReplay();
    const replay = this.#replay;
    const result = await replay?.next();
    // Left meanwhile.
    if (!result || this.#replay !== replay) return;
    if (result.done) {
      this.#replay = undefined;
      this.#reader.endReplay();
      return;
    }
    if (this.#reader.replayed(result.value)) this.#deliver(result.value);
    if (!this.#reader.mustReplay) this.#leaveReplay();
  }

  #startReplay(): Replay<Message> | undefined {
    const source = this.#source;
    // Only a reader that has a cursor asks for a replay.
    const after = this.#reader.beginReplay() as Cursor;
    return source && new Replay((signal) => source(after, signal));
  }

  #leaveReplay(): void {
    this.#replay?.leave();
    this.#replay = undefined;
  }

  #end(failure: Failure | undefined): "more" {
    if (this.#state === "over") return "more";
    this.#state = "over";
    this.#hub.subscribers.delete(this);
    this.#hub.waiting.delete(this);
    this.#signal?.removeEventListener("abort", this.#onAbort);
    this.#leaveReplay();
    this.#untold = failure;
    const reads = this.#reads;
    this.#reads = [];
    for (const read of reads) read.resolve(this.#afterwards());
    return "more";
  }

  /** What a `next()` gets after the end: the failure once, then done. */
  #afterwards(): Promise<Result<Message>> {
    const failure = this.#untold;
    this.#untold = undefined;
    return failure ? Promise.reject(failure.error) : Promise.resolve(DONE);
  }
}

/** Whether more reads can be answered; if not, for what they wait. */
type Step = "more" | "wait" | "replay";
