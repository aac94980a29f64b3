import { type Clock, systemClock, type Timer } from "../core/clock.ts";
import { tell } from "../core/warning.ts";
import { BoundedQueue, type QueueRules } from "./bounded-queue.ts";
import { bufferFull } from "./buffer-full.ts";
import { type BufferOptions, resolveBuffer } from "./buffer-options.ts";
import type { OperatorStream } from "./operator-stream.ts";
import { NOTHING } from "./outlet.ts";
import { Stage } from "./stage.ts";

/** What a buffer has come to. */
export interface BufferStats {
  /** Messages that wait to be read. */
  readonly messages: number;
  /** Their bytes, as `sizeOf` says; 0 without it. */
  readonly bytes: number;
  /** Messages that were dropped, so far. */
  readonly dropped: number;
}

/** A stream that is read ahead of its reader. */
export interface BufferedStream<Message> extends OperatorStream<Message> {
  /** What it has come to; also after its end. */
  stats(): BufferStats;
}

/**
 * After so many messages that nobody has asked for it pauses for a turn of the event loop: a source that is never out of
 * messages would keep its reader, and everything else, from running at all.
 */
const READS_IN_A_ROW = 1_000;

class Buffer<Message> extends Stage<Message> implements BufferedStream<Message> {
  readonly #queue: BoundedQueue<Message>;
  readonly #options: BufferOptions<Message>;
  readonly #clock: Clock;
  #dropped = 0;
  /** Since somebody asked for a message, or since the last pause. */
  #readsInARow = 0;
  #pause: Timer | undefined;

  constructor(source: AsyncIterable<Message>, rules: QueueRules, options: BufferOptions<Message>) {
    super(source, options.signal);
    this.#queue = new BoundedQueue(rules);
    this.#options = options;
    this.#clock = options.clock ?? systemClock;
  }

  stats(): BufferStats {
    return { messages: this.#queue.messages, bytes: this.#queue.bytes, dropped: this.#dropped };
  }

  message(message: Message): void {
    try {
      this.#offer(message);
    } catch (error) {
      this.intake.drop();
      this.finish({ error });
    }
    this.serve();
  }

  protected take(): Message | typeof NOTHING {
    this.#readsInARow = 0;
    return this.#queue.messages > 0 ? this.#queue.take() : NOTHING;
  }

  protected pull(): void {
    if (!this.#queue.hasRoom || this.#pause) return;
    this.#readsInARow += 1;
    if (this.#readsInARow > READS_IN_A_ROW) this.#startPause();
    else this.intake.read();
  }

  protected override leave(): Promise<void> {
    this.#pause?.cancel();
    this.#queue.clear();
    return super.leave();
  }

  /** @throws what `sizeOf` and `key` throw; RpcError if it is to end with what does not fit. */
  #offer(message: Message): void {
    const { sizeOf, key, onDrop } = this.#options;
    const { overflowed, dropped } = this.#queue.offer(
      message,
      sizeOf ? checkedSize(sizeOf(message)) : 0,
      key?.(message),
    );
    if (overflowed) throw bufferFull(`the buffer is full: ${this.#queue.messages} messages wait to be read`);
    this.#dropped += dropped.length;
    if (!onDrop) return;
    for (const one of dropped) tell("a buffer's onDrop threw", () => onDrop(one));
  }

  #startPause(): void {
    this.#readsInARow = 0;
    this.#pause = this.#clock.setTimer(0, () => {
      this.#pause = undefined;
      this.serve();
    });
  }
}

/** A size that is no number would make the bound none. */
function checkedSize(size: unknown): number {
  if (typeof size === "number" && size >= 0 && Number.isFinite(size)) return size;
  throw new TypeError(`buffer: sizeOf must return a number of bytes; it returned ${String(size)}`);
}

/**
 * The same messages, read ahead of their reader, within bounds. It begins to read at the first `next()`. What is held
 * when the source ends or fails is handed out before that.
 *
 * With any overflow but `block` the source is read as fast as it goes, however slow the reader is, and `stats()` says
 * what that has cost. On a stream that resumes, `cursor` is the position of what the buffer has read, not its reader.
 *
 * @throws TypeError that lists every problem of the options. Its stream throws RpcError with reason `BUFFER_FULL` where
 *   overflow is an `error`, and what `sizeOf` and `key` throw.
 */
export function buffer<Message>(
  source: AsyncIterable<Message>,
  options: BufferOptions<Message> = {},
): BufferedStream<Message> {
  return new Buffer(source, resolveBuffer(source, options), options);
}
