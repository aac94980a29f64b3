import type { RetryStop } from "../../core/attempts.ts";
import type { Call, Reply, UnaryHandler } from "../../core/call.ts";
import type { Timer } from "../../core/clock.ts";
import { RpcError } from "../../core/errors.ts";
import { PREVIOUS_ATTEMPTS } from "../../core/metadata-keys.ts";
import { statusName } from "../../core/status.ts";
import { type FailedHedge, Hedge } from "../../policy/hedge.ts";
import { pushbackOf } from "../../transport/index.ts";
import type { Detail } from "../report.ts";
import { mostAttempts, REJECTIONS } from "./attempt-rules.ts";
import { handOn } from "./hand-on.ts";
import type { HedgeContext } from "./hedge.ts";
import { HedgeFailures } from "./hedge-failures.ts";
import { HedgeSignal } from "./hedge-signal.ts";

/** What an attempt is cancelled with that nobody needs any more. */
const SUPERSEDED = new RpcError({ path: "", reason: "CANCELLED", details: "another attempt ended the call" });

/** A unary call that may have several attempts under way: sends them when they are due, and settles once. */
export class HedgedReply {
  readonly reply: Promise<Reply>;
  readonly #context: HedgeContext;
  readonly #call: Call;
  readonly #next: UnaryHandler;
  readonly #hedge: Hedge;
  readonly #resolve: (reply: Reply) => void;
  readonly #reject: (error: unknown) => void;
  /** Of each attempt, the first at 0. */
  readonly #signals: HedgeSignal[] = [];
  #failures: HedgeFailures | undefined;
  #timer: Timer | undefined;
  /** When that timer goes off. */
  #timerAt = Number.POSITIVE_INFINITY;
  #onAbort: (() => void) | undefined;
  /** Listened for while nothing is under way: what is, hears of it by itself. */
  #onClose: (() => void) | undefined;

  constructor(context: HedgeContext, call: Call, next: UnaryHandler) {
    const { promise, resolve, reject } = Promise.withResolvers<Reply>();
    this.reply = promise;
    this.#resolve = resolve;
    this.#reject = reject;
    this.#context = context;
    this.#call = call;
    this.#next = next;
    const { options, share, clock } = context;
    const { startedAt, deadline } = call;
    share.budget.call(startedAt);
    const delayMs = share.pace?.call(startedAt) ?? options.delayMs ?? Number.POSITIVE_INFINITY;
    const maxAttempts = mostAttempts(call.options);
    this.#hedge = new Hedge(options, share, clock, { startedAt, deadline, delayMs, maxAttempts });
    this.#follow(call.signal);
    this.#send(call);
    this.#goOn(startedAt);
  }

  #follow(signal: AbortSignal | undefined): void {
    if (!signal) return;
    this.#onAbort = () => this.#leave(signal.reason);
    signal.addEventListener("abort", this.#onAbort, { once: true });
  }

  #send(call: Call): void {
    const { attempt } = call;
    const cancellation = new HedgeSignal();
    this.#signals.push(cancellation);
    handOn(this.#next, { ...call, signal: cancellation.signal }).then(
      (reply) => this.#succeeded(attempt, reply),
      (error) => this.#failed(attempt, error),
    );
  }

  /** Sends what is due, and waits for what will be. @param now if that has been looked at already. */
  #goOn(now: number = this.#context.clock.now()): void {
    while (this.#hedge.dueAt <= now) this.#sendDue();
    this.#arm(now);
  }

  #sendDue(): void {
    const { headers } = this.#call;
    const startedAt = this.#context.clock.now();
    const decision = this.#hedge.due();
    if (!decision.send) {
      this.#report("denied", { because: decision.stop, attempts: this.#hedge.sent });
      if (this.#hedge.running === 0) this.#end(decision.stop);
      return;
    }
    const { attempt, because } = decision;
    this.#report("sent", { attempt, because, afterMs: startedAt - this.#call.startedAt });
    const previous = { ...headers, [PREVIOUS_ATTEMPTS]: String(attempt - 1) };
    this.#send({ ...this.#call, attempt, startedAt, headers: previous });
  }

  #arm(now: number): void {
    const { dueAt, running } = this.#hedge;
    if (dueAt === this.#timerAt) return;
    this.#disarm();
    if (dueAt === Number.POSITIVE_INFINITY) return;
    const { promise, resolve } = Promise.withResolvers<void>();
    const timer = this.#context.clock.setTimer(dueAt - now, resolve, now);
    this.#timer = timer;
    this.#timerAt = dueAt;
    // By a promise, which brings the caller's context along: a timer has none.
    promise.then(() => this.#timer === timer && this.#wake());
    if (running === 0) this.#listenForClose();
  }

  #disarm(): void {
    this.#timer?.cancel();
    this.#timer = undefined;
    this.#timerAt = Number.POSITIVE_INFINITY;
    if (this.#onClose) this.#context.closed?.removeEventListener("abort", this.#onClose);
    this.#onClose = undefined;
  }

  /** A client that is closed says so through the attempt that is made then. */
  #listenForClose(): void {
    const { closed } = this.#context;
    if (!closed) return;
    if (closed.aborted) return this.#wake();
    this.#onClose = () => this.#wake();
    closed.addEventListener("abort", this.#onClose, { once: true });
  }

  #wake(): void {
    this.#disarm();
    this.#sendDue();
    this.#goOn();
  }

  #succeeded(attempt: number, reply: Reply): void {
    const hedge = this.#hedge;
    if (!hedge.isRunning(attempt)) return;
    this.#finish(hedge.succeeded(attempt), SUPERSEDED);
    if (hedge.sent > 1) this.#report("won", { attempt, attempts: hedge.sent });
    this.#resolve(reply);
  }

  #failed(attempt: number, error: unknown): void {
    if (!this.#hedge.isRunning(attempt)) return;
    const failure = RpcError.from(error, this.#call.method.path);
    // A mistake of the program, not of the target; it is told as it is.
    if (failure.reason === "UNEXPECTED" && !(error instanceof RpcError)) return this.#leave(error);
    const facts = factsOf(failure);
    this.#failures ??= new HedgeFailures();
    this.#failures.add(attempt, failure, facts.rejected);
    const stop = this.#hedge.failed(attempt, facts);
    this.#reportDenial(stop ?? forbiddenBy(facts), failure);
    if (stop) this.#end(stop, facts.pushbackMs);
    else this.#goOn();
  }

  /** The call ends with what came last; whatever is still under way is not waited for. */
  #end(stop: RetryStop, pushbackMs?: number): void {
    const hedge = this.#hedge;
    const cancelled = hedge.abandoned();
    for (const attempt of cancelled) this.#failures?.addCancelled(attempt, SUPERSEDED);
    this.#finish(cancelled, SUPERSEDED);
    this.#reject(this.#failures?.toError(stop, pushbackMs));
  }

  #leave(reason: unknown): void {
    this.#finish(this.#hedge.abandoned(), reason);
    this.#reject(reason);
  }

  /** Leaves nothing behind, and cancels what is under way. */
  #finish(running: readonly number[], reason: unknown): void {
    this.#disarm();
    if (this.#onAbort) this.#call.signal?.removeEventListener("abort", this.#onAbort);
    for (const attempt of running) {
      if (reason === SUPERSEDED) this.#report("cancelled", { attempt });
      this.#signals[attempt - 1]?.abort(reason);
    }
  }

  #reportDenial(because: RetryStop | undefined, { attempts, code }: RpcError): void {
    const { sent } = this.#hedge;
    if (!because || because === "NOT_RETRYABLE" || (sent === 1 && attempts === 0)) return;
    this.#report("denied", { because, attempts: sent, status: statusName(code) });
  }

  #report(action: string, detail: Detail): void {
    this.#context.report?.(this.#call, action, detail);
  }
}

function factsOf({ code, reason, headersReceived, trailer }: RpcError): FailedHedge {
  return {
    code,
    committed: headersReceived,
    pushbackMs: trailer && pushbackOf(trailer),
    rejected: REJECTIONS.has(reason),
    drained: reason === "DRAINING",
    expired: reason === "DEADLINE_EXCEEDED",
  };
}

/** What keeps any further attempt from being sent, while those under way go on. */
function forbiddenBy({ rejected, pushbackMs }: FailedHedge): RetryStop | undefined {
  if (rejected) return "REJECTED";
  return pushbackMs !== undefined && pushbackMs < 0 ? "PUSHBACK" : undefined;
}
