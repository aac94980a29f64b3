import { setImmediate } from "node:timers/promises";
import { attemptDeadlineLayer } from "../../src/client/layers/attempt-deadline.ts";
import { breakerLayer } from "../../src/client/layers/breaker.ts";
import { retryLayer } from "../../src/client/layers/retry.ts";
import { composeStream, composeUnary } from "../../src/client/pipeline.ts";
import { reportTo } from "../../src/client/report.ts";
import { failureCodes, resolveBreaker, resolveRetry } from "../../src/contract/resolve.ts";
import type { Call, StreamHandler, UnaryHandler } from "../../src/core/call.ts";
import type { Clock } from "../../src/core/clock.ts";
import { NO_DEADLINE } from "../../src/core/deadline.ts";
import { RpcError } from "../../src/core/errors.ts";
import type { MessageStream } from "../../src/core/message-stream.ts";
import type { ObserverEvent } from "../../src/core/observer.ts";
import type { StatusCode } from "../../src/core/status.ts";
import { Breaker } from "../../src/policy/breaker.ts";
import { RetryBudget } from "../../src/policy/retry-budget.ts";
import { RetryThrottling } from "../../src/policy/retry-throttling.ts";
import { fakeClock } from "../../src/testing/index.ts";
import { Metadata } from "../../src/transport/index.ts";
import { listenersOf, tellingOf } from "./driven.ts";
import { type ModelAttempt, ModelStream, ModelUnary } from "./model-attempts.ts";
import { aCall, aMethod } from "./scripted.ts";

const MAX_ATTEMPTS = 4;
const ATTEMPT_TIMEOUT_MS = 60;
const MOST_CALLS = 4;

/** One of these, by one of a number's digits; the last is the 0th. */
function byDigit<T>(choices: readonly [T, ...T[]], number: number, digit = 0): T {
  return choices[(Math.floor(number / 10 ** digit) % 10) % choices.length] ?? choices[0];
}

/** A call that was made in a world. */
interface Made {
  readonly call: Call;
  readonly controller: AbortController;
  readonly stream: MessageStream | undefined;
  /** What its watchers were told; empty for a unary call. */
  readonly told: readonly string[];
  /** How each read came out, in the order in which they were made; `pending` until it did. */
  readonly reads: string[];
  readonly attempts: ModelAttempt[];
  scheduled: number;
  left: boolean;
  error: unknown;
}

/**
 * Calls through retry, breaker and attempt deadline, over attempts whose answers a script gives. It notes what must
 * never be as it happens.
 */
export class RetryWorld {
  readonly problems: string[] = [];
  readonly #fake = fakeClock();
  #aheadMs = 0;
  readonly #clock: Clock = {
    now: () => this.#fake.now() + this.#aheadMs,
    wallTime: () => this.#fake.wallTime(),
    setTimer: (delayMs, fire) => this.#fake.setTimer(delayMs, fire),
  };
  readonly #budget = new RetryBudget({ ratio: 0.5, windowMs: 1e12, minInFlight: 2 }, this.#clock);
  readonly #throttling = new RetryThrottling({ maxTokens: 8, tokenRatio: 0.5 });
  readonly #breaker: Breaker;
  readonly #shared = new AbortController();
  readonly #calls: Made[] = [];
  readonly #unary: UnaryHandler;
  readonly #stream: StreamHandler;

  constructor() {
    const policy = { minimumCalls: 4, openMs: 100, trials: 1, trialTimeoutMs: 200 };
    const random = () => 0.5;
    this.#breaker = new Breaker(resolveBreaker(policy), this.#clock, random);
    const observe = (event: ObserverEvent) => this.#observe(event);
    const retry = {
      options: resolveRetry({ maxAttempts: MAX_ATTEMPTS, initialBackoffMs: 40, codes: ["UNAVAILABLE", "ABORTED"] }),
      share: { throttling: this.#throttling, budget: this.#budget },
      ...{ clock: this.#clock, random, report: reportTo(observe, "retry"), closed: undefined },
    };
    const guard = { breaker: this.#breaker, codes: failureCodes(), slowMs: 50, clock: this.#clock, report: undefined };
    const layers = {
      retryOrHedge: retryLayer(retry),
      breaker: breakerLayer(guard),
      attemptDeadline: attemptDeadlineLayer(ATTEMPT_TIMEOUT_MS, this.#clock),
    };
    const attempt = {
      unary: (call: Call) => {
        this.#begins(call);
        const attempt = new ModelUnary(call, this.#clock);
        this.#made(call)?.attempts.push(attempt);
        return attempt.reply;
      },
      stream: (call: Call) => {
        const attempt = new ModelStream(call, this.#clock, () => this.#begins(call));
        this.#made(call)?.attempts.push(attempt);
        return attempt;
      },
    };
    this.#unary = composeUnary(layers, attempt, aMethod());
    this.#stream = composeStream(layers, attempt, aMethod("server-stream"));
  }

  /** What a script can do; each takes which call or attempt it is about, and a number to choose by. */
  readonly actions = {
    unary: (_which: number, value: number) => this.#start("unary", value),
    stream: (_which: number, value: number) => this.#start("stream", value),
    read: (which: number) => this.#read(this.#pick(which)),
    leave: (which: number) => this.#leave(this.#pick(which)),
    abort: (which: number) => this.#pick(which)?.controller.abort("gone"),
    abortAll: () => this.#shared.abort("gone"),
    headers: (which: number) => this.#attempt(which)?.headers(),
    message: (which: number) => this.#attempt(which)?.message(),
    succeed: (which: number) => this.#attempt(which)?.succeed(),
    fail: (which: number, value: number) => this.#attempt(which)?.fail(this.#failure(which, value)),
    /** Answers any attempt, over or not. */
    late: (which: number) => this.#anyAttempt(which)?.succeed(),
    turn: () => this.#turn(),
    pass: (_which: number, value: number) => this.#pass(byDigit([1, 20, 20, 40, 40, 40, 80, 80, 110, 5_000], value)),
    /** Time passes while no timer fires, as on a machine that is busy. */
    jump: (_which: number, value: number) => {
      this.#aheadMs += byDigit([10, 70, 12_000], value);
    },
  };

  /** Everybody leaves; says what is wrong then. */
  async finish(): Promise<readonly string[]> {
    await this.#turn();
    this.#shared.abort("over");
    for (const made of this.#calls) {
      made.controller.abort("over");
      this.#leave(made);
    }
    await this.#turn();
    this.#expect("all is settled", this.#calls.every(isSettled));
    this.#expectNothingLeft();
    for (const made of this.#calls) this.#judge(made);
    return this.problems;
  }

  #start(kind: "unary" | "stream", value: number): void {
    if (this.#calls.length >= MOST_CALLS) return;
    const controller = byDigit([new AbortController(), new AbortController(), this.#shared], value);
    const deadline = byDigit([NO_DEADLINE, 1_000, 1_000, 100, 30], value, 1);
    const maxAttempts = byDigit([undefined, undefined, undefined, 9, 2, 1], value, 2);
    const call = aCall({
      id: this.#calls.length,
      method: aMethod(kind === "unary" ? "unary" : "server-stream"),
      options: maxAttempts === undefined ? {} : { maxAttempts },
      startedAt: this.#clock.now(),
      deadline: deadline + this.#clock.now(),
      signal: controller.signal,
    });
    const stream = kind === "stream" ? this.#stream(call) : undefined;
    const told = stream ? tellingOf(stream) : [];
    const nothing = { reads: [], attempts: [], scheduled: 0, left: false, error: undefined };
    const made: Made = { call, controller, stream, told, ...nothing };
    this.#calls.push(made);
    if (stream) this.#read(made);
    else
      this.#follow(
        made,
        this.#unary(call).then(() => ({ done: false })),
      );
  }

  #read(made: Made | undefined): void {
    if (made?.stream) this.#follow(made, made.stream.next());
  }

  #follow(made: Made, read: Promise<{ done?: boolean | undefined }>): void {
    const index = made.reads.push("pending") - 1;
    read.then(
      ({ done }) => {
        made.reads[index] = done ? "done" : "value";
      },
      (error: unknown) => {
        made.error = error;
        made.reads[index] = "failed";
      },
    );
  }

  #leave(made: Made | undefined): void {
    if (!made?.stream) return;
    made.left = true;
    void made.stream.return();
  }

  #pick(which: number): Made | undefined {
    return this.#calls[which % Math.max(this.#calls.length, 1)];
  }

  #attempt(which: number): ModelAttempt | undefined {
    const open = this.#calls.flatMap(({ attempts }) => attempts.filter(({ over }) => !over));
    return open[which % Math.max(open.length, 1)];
  }

  #anyAttempt(which: number): ModelAttempt | undefined {
    const all = this.#calls.flatMap(({ attempts }) => attempts);
    return all[which % Math.max(all.length, 1)];
  }

  #failure(which: number, value: number): unknown {
    const code = byDigit<StatusCode>([14, 14, 14, 14, 14, 10, 10, 5, 4, 1], value);
    const pushback = byDigit(
      [undefined, undefined, undefined, undefined, undefined, "0", "0", "30", "-1", "soon"],
      value,
      1,
    );
    const reason = byDigit(["STATUS", "STATUS", "STATUS", "STATUS", "TRANSPORT"] as const, value, 2);
    const odd = byDigit([false, false, false, false, false, false, false, false, false, true], value, 3);
    const trailer = new Metadata(pushback === undefined ? {} : { "grpc-retry-pushback-ms": pushback });
    const headersReceived = this.#attempt(which)?.headersReceived ?? false;
    const known = new RpcError({ path: "/p", reason, code, details: "", trailer, headersReceived });
    return odd ? byDigit([new TypeError("a mistake"), known.with({ reason: "CLIENT_CLOSED" })], value) : known;
  }

  #made({ id }: Call): Made | undefined {
    return this.#calls[id];
  }

  #observe(event: ObserverEvent): void {
    if (event.type !== "policy" || event.action !== "scheduled") return;
    const made = this.#calls[event.id ?? -1];
    if (made) made.scheduled += 1;
  }

  /** What must hold of each attempt when it begins. */
  #begins(call: Call): void {
    const made = this.#made(call);
    if (!made) return;
    const { attempt, headers, signal } = call;
    const before = made.attempts.filter(({ begun, call }) => begun && call !== made.attempts.at(-1)?.call).length;
    const isUnary = made.stream === undefined;
    const earlier = isUnary ? made.attempts.filter(({ begun }) => begun).length : before;
    const allowed = Math.min(MAX_ATTEMPTS, made.call.options.maxAttempts ?? MAX_ATTEMPTS);
    this.#expect("attempts count from 1", attempt === earlier + 1);
    this.#expect("no more attempts than allowed", attempt <= allowed);
    this.#expect(
      "each says how many there were",
      headers?.["grpc-previous-rpc-attempts"] === [undefined, "1", "2", "3"][attempt - 1],
    );
    this.#expect(
      "one attempt at a time",
      (isUnary ? made.attempts : made.attempts.slice(0, -1)).every(({ over }) => over),
    );
    this.#expect("no attempt for a caller that has left", !signal?.aborted && !made.left);
    this.#expect("no retry after the deadline", attempt === 1 || this.#clock.now() < made.call.deadline);
    this.#expect("no attempt while the breaker is open", this.#breaker.snapshot().state !== "open");
  }

  async #pass(ms: number): Promise<void> {
    await this.#fake.advance(ms);
    this.#look();
  }

  async #turn(): Promise<void> {
    await setImmediate();
    this.#look();
  }

  /** What must hold whenever nothing is on its way. */
  #look(): void {
    const { tokens } = this.#throttling.snapshot();
    const waiting = this.#calls.filter((made) => made.scheduled > 0 && !isSettled(made) && !isCommitted(made)).length;
    const { inFlight } = this.#budget.snapshot();
    this.#expect("tokens between none and all", tokens >= 0 && tokens <= 8);
    this.#expect(`a permit for each call that is tried again: ${inFlight} for ${waiting}`, inFlight === waiting);
    const gone = this.#calls.filter(({ left, controller }) => left || controller.signal.aborted);
    this.#expect("a caller that leaves is let go at once", gone.every(isSettled));
    if (this.#calls.every((made) => isSettled(made) && isOver(made))) this.#expectNothingLeft();
  }

  #expectNothingLeft(): void {
    const controllers = new Set(this.#calls.map(({ controller }) => controller));
    const listeners = [...controllers].reduce((sum, { signal }) => sum + listenersOf(signal), 0);
    const { inFlight } = this.#budget.snapshot();
    const { trials } = this.#breaker.snapshot();
    const left = { timers: this.#fake.pending, listeners, permits: inFlight, trials };
    for (const [what, count] of Object.entries(left)) this.#expect(`no ${what} left: ${count}`, count === 0);
  }

  /** What must hold of a call that is over. */
  #judge({ call, stream, told, reads, attempts, error }: Made): void {
    const pattern = stream ? /^(value ?)*(failed ?)?(done ?)*$/ : /^(value|failed)$/;
    this.#expect(`reads in order: ${reads.join(" ")}`, pattern.test(reads.join(" ")));
    const watched = /^(headers )?(first message )?(ok|cancelled|error \w+)$/;
    this.#expect(`watchers told once, in order: ${told.join(" ")}`, !stream || watched.test(told.join(" ")));
    const begun = attempts.filter(({ begun }) => begun).length;
    if (!(error instanceof RpcError)) return;
    const { failures, retryStop } = error;
    this.#expect(`${call.id} failed with ${error.attempts} of ${begun} attempts`, error.attempts === begun);
    this.#expect(
      "each attempt is among the failures",
      failures.every(({ attempt }, n) => attempt === n + 1),
    );
    this.#expect("as many failures as attempts", failures.length === begun);
    this.#expect("it says why there was no other", retryStop !== undefined);
  }

  #expect(what: string, holds: boolean): void {
    if (!holds) this.problems.push(what);
  }
}

function isSettled({ reads }: Made): boolean {
  return !reads.includes("pending");
}

function isOver({ stream, told }: Made): boolean {
  return !stream || told.some((text) => /^(ok|cancelled|error)/.test(text));
}

function isCommitted({ told }: Made): boolean {
  return told.length > 0;
}
