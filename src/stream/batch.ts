import { isCount } from "../core/check-options.ts";
import { type Clock, systemClock, type Timer } from "../core/clock.ts";
import { checkArguments, isDuration, isSource, TIMED } from "./check-arguments.ts";
import type { OperatorOptions, OperatorStream } from "./operator-stream.ts";
import { NOTHING } from "./outlet.ts";
import { Stage } from "./stage.ts";

/** What operators take that look at a clock. */
export interface TimedOperatorOptions extends OperatorOptions {
  /** Default: the machine's own. */
  readonly clock?: Clock | undefined;
}

/** When a batch is handed over. */
interface BatchRules {
  readonly maxSize: number;
  readonly maxWaitMs: number;
  readonly clock: Clock;
}

class Batch<Message> extends Stage<Message, Message[]> {
  readonly #rules: BatchRules;
  #held: Message[] = [];
  #dueAt = 0;
  /** Runs while somebody waits and something is held. */
  #timer: Timer | undefined;

  constructor(source: AsyncIterable<Message>, rules: BatchRules, signal: AbortSignal | undefined) {
    super(source, signal);
    this.#rules = rules;
  }

  message(message: Message): void {
    if (this.#held.length === 0) this.#dueAt = this.#rules.clock.now() + this.#rules.maxWaitMs;
    this.#held.push(message);
    this.serve();
  }

  protected take(): Message[] | typeof NOTHING {
    if (!this.#isDue()) return NOTHING;
    this.#stopTimer();
    const batch = this.#held;
    this.#held = [];
    return batch;
  }

  protected pull(): void {
    if (!this.isWanted) return;
    if (this.#held.length > 0) this.#startTimer();
    this.intake.read();
  }

  protected override leave(): Promise<void> {
    this.#stopTimer();
    this.#held = [];
    return super.leave();
  }

  /** While the timer runs, nobody need look at the clock. */
  #isDue(): boolean {
    if (this.#held.length === 0) return false;
    if (this.#held.length >= this.#rules.maxSize || this.isFinished) return true;
    return this.#timer === undefined && this.#rules.clock.now() >= this.#dueAt;
  }

  #startTimer(): void {
    const { clock } = this.#rules;
    this.#timer ??= clock.setTimer(this.#dueAt - clock.now(), () => {
      this.#timer = undefined;
      this.serve();
    });
  }

  #stopTimer(): void {
    this.#timer?.cancel();
    this.#timer = undefined;
  }
}

/**
 * Messages in arrays of 1 to `maxSize`. One is handed over when it is full, when its first message has waited
 * `maxWaitMs`, and when the source ends; before an error too. The source is read only while somebody waits, so at most
 * one batch is held.
 *
 * @param maxWaitMs in milliseconds; Infinity waits for full ones.
 * @throws TypeError that lists every argument that does not fit.
 */
export function batch<Message>(
  source: AsyncIterable<Message>,
  maxSize: number,
  maxWaitMs: number,
  options: TimedOperatorOptions = {},
): OperatorStream<Message[]> {
  const given = {
    source: [source, isSource],
    maxSize: [maxSize, isCount],
    maxWaitMs: [maxWaitMs, isDuration],
  } as const;
  checkArguments("batch", given, options, TIMED);
  return new Batch(source, { maxSize, maxWaitMs, clock: options.clock ?? systemClock }, options.signal);
}
