import type { Metadata } from "nice-grpc-common";
import type { AttemptFailure } from "../../core/attempts.ts";
import type { Call } from "../../core/call.ts";
import { clientClosed } from "../../core/client-closed.ts";
import type { Timer } from "../../core/clock.ts";
import type { Cursor } from "../../core/cursor.ts";
import { CURSOR_HEADER, decodeCursor, integerLike, isPosition, showCursor } from "../../core/cursor.ts";
import { RpcError } from "../../core/errors.ts";
import type { Reason } from "../../core/reasons.ts";
import { Status, statusName } from "../../core/status.ts";
import { tell } from "../../core/warning.ts";
import { type BrokenStream, Resume, type ResumeStart, type ResumeStop, type Verdict } from "../../policy/resume.ts";
import type { BudgetPermit } from "../../policy/retry-budget.ts";
import { pushbackOf } from "../../transport/index.ts";
import { PASSING, REJECTIONS } from "./attempt-rules.ts";
import type { ResumeContext } from "./resume.ts";
import { answerOf, checkAnswer } from "./resume-answer.ts";
import { stoppedBy } from "./resume-stop.ts";
import { Wait } from "./wait.ts";

/** What opening the stream again would meet again, or what ended the call and not the stream. */
const FINAL: ReadonlySet<Reason> = new Set([
  "DEADLINE_EXCEEDED",
  "DEADLINE_BEFORE_SEND",
  "CLIENT_CLOSED",
  "REQUEST_NOT_ENCODABLE",
  "RESPONSE_NOT_DECODABLE",
  "MESSAGE_TOO_LARGE",
  "UNEXPECTED",
]);

/** How long a reopening waits before it asks the budget again, in milliseconds; spread, so that many do not meet. */
const BUDGET_WAIT_MS = 100;

/**
 * For how long an opening counts as an extra attempt under way unless it fails before, in milliseconds: a quiet stream
 * gives no sign that it stands, and a thousand of them must not wait for each other.
 */
const BUDGET_HOLD_MS = 50;

/** The openings of one stream: what the next one is made with, and what became of the ones before. */
export class Reopenings {
  readonly #context: ResumeContext;
  readonly #call: Call;
  readonly #machine: Resume;
  readonly #wait: Wait;
  readonly #ordered: boolean;
  #request: unknown;
  #permit: BudgetPermit | undefined;
  #hold: Timer | undefined;
  /** In a row, as the machine counts them. */
  #failures: AttemptFailure[] = [];
  #reopenings = 0;
  /** When the last opening began. */
  #beganAt = 0;
  /** Whether the client itself kept the last opening from its target. */
  #rejected = false;
  /** When it broke, until it is open again. */
  #brokenAt: number | undefined;

  constructor(context: ResumeContext, call: Call) {
    this.#context = context;
    this.#call = call;
    this.#request = call.request;
    this.#ordered = context.access.type === "int64" || context.access.type === "uint64";
    this.#machine = new Resume(context.options, this.#startOf(call.request), context.random);
    this.#wait = new Wait(context.clock, [call.signal, context.closed]);
  }

  get call(): Call {
    return this.#call;
  }

  get cursor(): Cursor | undefined {
    return this.#machine.cursor;
  }

  /**
   * What the stream is opened with now: the request that continues after the last position (rules S1, S2).
   *
   * @throws the signal's reason, if the caller has left (rule R8).
   */
  begin(): Call {
    const { signal, options } = this.#call;
    if (signal?.aborted) throw signal.reason;
    this.#beganAt = this.#context.clock.now();
    const call = this.#reopenings === 0 ? this.#call : this.#reopening();
    if (this.#context.options.fromStart || this.cursor !== undefined) return call;
    // Whether it may be opened again depends on how it broke (rule S5), and a retry below would not ask.
    return { ...call, options: { ...options, retry: false } };
  }

  /** Headers came; the server may have told in them where the stream begins (rule S5). */
  opened(header: Metadata): void {
    const bytes = header.get(CURSOR_HEADER);
    // What cannot be read tells no position.
    if (bytes) tell("a stream's first header has no position", () => this.#pin(bytes));
    this.#resumed();
  }

  /** What to do with a message. */
  message(message: unknown): Verdict {
    const { access, isMarker, clock } = this.#context;
    const read = access.read(message);
    const marker = isMarker(message);
    const standingMs = marker ? clock.now() - this.#beganAt : 0;
    const verdict = this.#machine.message(isPosition(read, this.#ordered) ? read : undefined, marker, standingMs);
    if (verdict === "duplicate") this.#context.report?.(this.#call, "dropped", { cursor: showCursor(read) });
    else if (this.#failures.length > 0 && this.#machine.failures === 0) this.#failures = [];
    this.#resumed();
    return verdict;
  }

  /**
   * The stream broke. Waits until it may be opened again.
   *
   * @returns false if nothing is left to read (rule S2).
   * @throws what the call ends with, if it is not reopened.
   */
  async broke(error: unknown): Promise<boolean> {
    const { signal, method } = this.#call;
    this.abandoned();
    if (signal?.aborted) throw signal.reason;
    if (this.#call.options.retry === false) throw error;
    const failure = RpcError.from(error, method.path);
    if (failure.reason === "UNEXPECTED" && !(error instanceof RpcError)) throw error;
    const { clock, report } = this.#context;
    this.#brokenAt ??= clock.now();
    this.#note(failure);
    const decision = this.#machine.broke(this.#brokenBy(failure), this.#remainingMs);
    if (decision.action === "end") return false;
    if (decision.action === "fail") return await this.#stop(failure, decision.stop);
    const { delayMs, because } = decision;
    const detail = { because, delayMs, status: statusName(failure.code), failures: this.#machine.failures };
    // A rejection is asked about again and again; it is told once.
    if (because !== "rejection" || !this.#rejected) {
      report?.(this.#call, "scheduled", { ...detail, ...this.#position() });
    }
    this.#rejected = because === "rejection";
    await this.#wait.for(delayMs);
    if (because !== "drain") await this.#drawOnBudget();
    this.#checkWanted(failure);
    this.#reopenings += 1;
    return true;
  }

  /** Ends the wait that is under way: nobody waits for the stream any more. */
  wake(): void {
    this.#wait.end();
  }

  /** The opening is over, or stands: either way it is no extra attempt under way. */
  abandoned(): void {
    this.#hold?.cancel();
    this.#permit?.release();
    this.#permit = undefined;
  }

  #pin(bytes: Uint8Array): void {
    const { access, emptyCursor } = this.#context;
    const cursor = decodeCursor(bytes, fieldOf(this.#request, access.requestField) ?? emptyCursor());
    if (isPosition(cursor, this.#ordered)) this.#machine.pinned(cursor);
  }

  #resumed(): void {
    if (this.#permit) this.abandoned();
    if (this.#brokenAt === undefined) return;
    const tookMs = this.#context.clock.now() - this.#brokenAt;
    this.#brokenAt = undefined;
    this.#context.report?.(this.#call, "resumed", { tookMs, reopenings: this.#reopenings, ...this.#position() });
  }

  /** Reopening waits for the budget, and is never failed by it (rule S4). */
  async #drawOnBudget(): Promise<void> {
    const { share, clock, random } = this.#context;
    while (!this.#wait.over && this.#remainingMs > 0) {
      this.#permit = share.budget.tryAcquire();
      if (this.#permit) {
        this.#hold = clock.setTimer(BUDGET_HOLD_MS, () => this.abandoned());
        return;
      }
      await this.#wait.for(Math.min(BUDGET_WAIT_MS * (0.5 + 0.5 * random()), this.#remainingMs));
    }
  }

  /** @throws what the call ends with, if it came to its end during a wait (rules R5, R8). */
  #checkWanted(failure: RpcError): void {
    const { signal, method } = this.#call;
    if (signal?.aborted) throw signal.reason;
    if (this.#remainingMs <= 0) throw this.#final(failure, "DEADLINE");
    if (!this.#context.closed?.aborted) return;
    throw clientClosed(method.path, { attempts: this.#failures.length, failures: this.#failures });
  }

  /** @returns true if the application has another request for a position that is gone. */
  async #stop(failure: RpcError, stop: ResumeStop): Promise<true> {
    const { onExpired } = this.#call.options;
    if (stop === "CURSOR_EXPIRED" && onExpired && !this.#machine.exhausted) {
      const within = (answer: Promise<object | undefined>) => this.#wait.for(this.#remainingMs, answer);
      const request = await answerOf(this.#call.options, this.cursor, within);
      this.#checkWanted(failure);
      if (request !== undefined) {
        const start = this.#startOf(request);
        checkAnswer(request, start, this.#call.method.path, this.#context);
        this.#context.report?.(this.#call, "restarted", this.#position());
        this.#request = request;
        await this.#wait.for(Math.min(this.#machine.restart(start), this.#remainingMs));
        this.#checkWanted(failure);
        this.#reopenings += 1;
        return true;
      }
    }
    throw this.#final(failure, stop);
  }

  /** What the call ends with. */
  #final(failure: RpcError, stop: ResumeStop): RpcError {
    return stoppedBy(failure, stop, this.cursor, this.#failures);
  }

  #startOf(request: unknown): ResumeStart {
    const { requestField, limitField } = this.#context.access;
    const said = fieldOf(request, requestField);
    const limit = limitField === undefined ? 0 : Number(fieldOf(request, limitField) ?? 0);
    return {
      cursor: isPosition(said, this.#ordered) ? said : undefined,
      ordered: this.#ordered,
      limit: limit > 0 ? limit : Number.POSITIVE_INFINITY,
    };
  }

  #reopening(): Call {
    const { access } = this.#context;
    const { cursor } = this.#machine;
    const request = cursor === undefined ? this.#request : access.write(this.#request, cursor);
    const isFailing = this.#machine.failures > 1;
    return { ...this.#call, request: this.#limited(request), startedAt: this.#beganAt, isFailing };
  }

  #limited(request: unknown): unknown {
    const { limitField } = this.#context.access;
    const { remaining } = this.#machine;
    if (limitField === undefined || remaining === Number.POSITIVE_INFINITY) return request;
    return { ...(request as object), [limitField]: integerLike(BigInt(remaining), fieldOf(request, limitField)) };
  }

  get #remainingMs(): number {
    return this.#call.deadline - this.#context.clock.now();
  }

  #brokenBy(failure: RpcError): BrokenStream {
    const { code, reason, sent, origin, headersReceived, trailer, retryAfterMs, attempts } = failure;
    // After an attempt that failed, it is that failure which counts; and a stream that never stood does not wait.
    const refused = REJECTIONS.has(reason) && attempts === 0;
    return {
      code,
      // Where there are no credentials to be had, as against none at the moment, there will be none later.
      final: FINAL.has(reason) || (refused && (this.#reopenings === 0 || code === Status.UNAUTHENTICATED)),
      unopened: !headersReceived && (!sent || origin === "wire"),
      drained: reason === "DRAINING",
      pushbackMs: trailer && pushbackOf(trailer),
      rejected: refused && PASSING.has(reason) ? { retryAfterMs } : undefined,
    };
  }

  #note({ attempts, failures, code, reason, details }: RpcError): void {
    if (attempts === 0) return;
    const made = failures.length > 0 ? failures : [{ code, reason, details }];
    for (const failure of made) this.#failures.push({ ...failure, attempt: this.#failures.length + 1 });
  }

  #position(): { readonly cursor: string } | Record<string, never> {
    return this.cursor === undefined ? {} : { cursor: showCursor(this.cursor) };
  }
}

function fieldOf(message: unknown, field: string): unknown {
  return typeof message === "object" && message !== null ? Reflect.get(message, field) : undefined;
}
