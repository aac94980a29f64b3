import { type Clock, systemClock, type Timer } from "../core/clock.ts";
import { RpcError } from "../core/errors.ts";
import type { TimedOperatorOptions } from "./batch.ts";
import { checkArguments, isDuration, isSource, TIMED } from "./check-arguments.ts";
import type { OperatorStream } from "./operator-stream.ts";
import { Passage } from "./passage.ts";

class TimeoutBetween<Message> extends Passage<Message> {
  readonly #timeoutMs: number;
  readonly #clock: Clock;
  /** Since when somebody waits. */
  #since: number | undefined;
  /** For how long the process had stood still in all, by then. */
  #stoodStillMs = 0;
  /** One for many messages: when it fires, it looks how long the last wait has lasted. */
  #timer: Timer | undefined;

  constructor(source: AsyncIterable<Message>, timeoutMs: number, clock: Clock, signal: AbortSignal | undefined) {
    super(source, signal);
    this.#timeoutMs = timeoutMs;
    this.#clock = clock;
  }

  override message(message: Message): void {
    this.#since = undefined;
    super.message(message);
  }

  protected override pull(): void {
    if (!this.isWanted) return;
    if (this.#since === undefined) {
      this.#since = this.#clock.now();
      this.#stoodStillMs = this.#stalledUntil(this.#since);
    }
    if (!this.#timer) this.#startTimer(this.#timeoutMs);
    super.pull();
  }

  protected override leave(): Promise<void> {
    this.#timer?.cancel();
    return super.leave();
  }

  #stalledUntil(at: number): number {
    return this.#clock.stalledMs?.(at) ?? 0;
  }

  #startTimer(delayMs: number): void {
    this.#timer = this.#clock.setTimer(delayMs, () => {
      this.#timer = undefined;
      this.#look();
    });
  }

  #look(): void {
    if (this.#since === undefined) return;
    // While the process stood still, messages may have come that it had no time to look at.
    const now = this.#clock.now();
    const excusedMs = this.#stalledUntil(now) - this.#stoodStillMs;
    const leftMs = this.#since + this.#timeoutMs + excusedMs - now;
    if (leftMs > 0) this.#startTimer(leftMs);
    else this.end({ error: stalled(this.#timeoutMs) });
  }
}

function stalled(timeoutMs: number): RpcError {
  return new RpcError({ path: "", reason: "STALLED", details: `no message came for ${timeoutMs} ms` });
}

/**
 * The same messages; an error once somebody has waited `timeoutMs` for one. A slow reader is no timeout: time counts
 * only while it waits, and not while the process stands still.
 *
 * For a stream of an RPC, the contract's heartbeats tell a quiet stream from one that is stuck; this cannot.
 *
 * @param timeoutMs in milliseconds, the wait for the first message included.
 * @throws TypeError that lists every argument that does not fit. Its stream throws RpcError with reason `STALLED`.
 */
export function timeoutBetween<Message>(
  source: AsyncIterable<Message>,
  timeoutMs: number,
  options: TimedOperatorOptions = {},
): OperatorStream<Message> {
  checkArguments("timeoutBetween", { source: [source, isSource], timeoutMs: [timeoutMs, isDuration] }, options, TIMED);
  return new TimeoutBetween(source, timeoutMs, options.clock ?? systemClock, options.signal);
}
