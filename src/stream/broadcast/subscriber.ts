import { tell } from "../../core/warning.ts";
import type { BroadcastLog } from "../../policy/broadcast-log.ts";
import { BroadcastReader, type ReaderRules } from "../../policy/broadcast-reader.ts";
import { type Failure, NOTHING, Outlet } from "../outlet.ts";
import { cursorGone, slowSubscriber } from "./errors.ts";
import { Replay, type ReplaySource } from "./replay.ts";
import type { SubscribeOptions, Subscription } from "./subscription.ts";

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
 * A subscription: an outlet of a `BroadcastReader`. Until its first `next()` nobody knows of it, so that one that is never
 * read leaves nothing behind.
 */
export class Subscriber<Message, Cursor> extends Outlet<Message> implements Subscription<Message, Cursor> {
  readonly #hub: Hub<Message, Cursor>;
  readonly #reader: BroadcastReader<Message, Cursor>;
  readonly #source: ReplaySource<Message, Cursor> | undefined;
  #replay: Replay<Message> | undefined;
  /** What came out of it, until it is taken. */
  #replayed: Message | typeof NOTHING = NOTHING;
  #waitsFor: "message" | "replay" = "message";
  /** Somebody reads already: a filter that publishes or reads comes back here, and so does a replay. */
  #isBusy = false;

  constructor(hub: Hub<Message, Cursor>, options: SubscribeOptions<Message, Cursor>) {
    const { after, filter, replay = hub.replay, signal, onDropped } = options;
    super(signal);
    this.#hub = hub;
    this.#source = replay;
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

  /** Something was published, or nothing more will be. */
  wake(): void {
    this.serve();
  }

  protected override opens(): void {
    this.#hub.subscribers.add(this);
  }

  protected take(): Message | typeof NOTHING {
    const replayed = this.#replayed;
    this.#replayed = NOTHING;
    if (replayed !== NOTHING || this.#isBusy) return replayed;
    this.#isBusy = true;
    const message = this.#read();
    this.#isBusy = false;
    return message;
  }

  protected pull(): void {
    if (this.#isBusy) return;
    if (!this.isWanted) this.#hub.waiting.delete(this);
    else if (this.#waitsFor === "message") this.#hub.waiting.add(this);
    else void this.#readReplay();
  }

  protected async leave(): Promise<void> {
    this.#hub.subscribers.delete(this);
    this.#hub.waiting.delete(this);
    this.#leaveReplay();
  }

  /** The next message of the log's; ends the stream where there will be none. */
  #read(): Message | typeof NOTHING {
    const { log, closed, counts } = this.#hub;
    try {
      const step = this.#reader.next();
      if (typeof step === "object") return step.message;
      this.#waitsFor = step === "replay" ? "replay" : "message";
      if (step === "wait" && closed) this.end(closed.error === undefined ? undefined : closed);
      if (step === "expired") this.end({ error: cursorGone(this.cursor) });
      if (step === "slow") {
        counts.disconnected += 1;
        this.end({ error: slowSubscriber(this.lag, log.end - log.first) });
      }
    } catch (error) {
      this.end({ error });
    }
    return NOTHING;
  }

  /** Reads from the replay as long as somebody wants to, and until the log has the rest. */
  async #readReplay(): Promise<void> {
    this.#isBusy = true;
    try {
      while (this.isWanted && this.#reader.mustReplay) await this.#readReplayed();
    } catch (error) {
      this.end({ error });
    }
    this.#isBusy = false;
    this.serve();
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
    if (this.#reader.replayed(result.value)) {
      this.#replayed = result.value;
      this.serve();
    }
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
}
