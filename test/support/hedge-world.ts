import { setImmediate } from "node:timers/promises";
import { breakerLayer } from "../../src/client/layers/breaker.ts";
import { hedgeLayer } from "../../src/client/layers/hedge.ts";
import { composeUnary } from "../../src/client/pipeline.ts";
import { reportTo } from "../../src/client/report.ts";
import { failureCodes, resolveBreaker, resolveHedge } from "../../src/contract/resolve.ts";
import type { Call, UnaryHandler } from "../../src/core/call.ts";
import type { Clock } from "../../src/core/clock.ts";
import { NO_DEADLINE } from "../../src/core/deadline.ts";
import { RpcError } from "../../src/core/errors.ts";
import type { ObserverEvent } from "../../src/core/observer.ts";
import type { StatusCode } from "../../src/core/status.ts";
import { Breaker } from "../../src/policy/breaker.ts";
import { RetryBudget } from "../../src/policy/retry-budget.ts";
import { RetryThrottling } from "../../src/policy/retry-throttling.ts";
import { fakeClock } from "../../src/testing/index.ts";
import { Metadata } from "../../src/transport/index.ts";
import { listenersOf } from "./driven.ts";
import { ModelUnary } from "./model-attempts.ts";
import { aCall, aMethod } from "./scripted.ts";

const MAX_ATTEMPTS = 4;
const MAX_TOKENS = 8;
const TOKEN_RATIO = 0.5;
const MOST_CALLS = 4;
const NON_FATAL: readonly StatusCode[] = [14, 10];

/** One of these, by one of a number's digits; the last is the 0th. */
function byDigit<T>(choices: readonly [T, ...T[]], number: number, digit = 0): T {
  return choices[(Math.floor(number / 10 ** digit) % 10) % choices.length] ?? choices[0];
}

/** A call that was made in a world. */
interface Made {
  readonly call: Call;
  readonly controller: AbortController;
  readonly attempts: ModelUnary[];
  /** How it came out, each time that it did. */
  readonly outcomes: unknown[];
  /** Nothing has decided it yet. */
  open: boolean;
  error: unknown;
}

/**
 * Calls through hedges and breaker, over attempts whose answers a script gives. It notes what must never be as it
 * happens, and keeps the throttle's tokens by itself.
 */
export class HedgeWorld {
  readonly problems: string[] = [];
  readonly #fake = fakeClock();
  #aheadMs = 0;
  readonly #clock: Clock = {
    now: () => this.#fake.now() + this.#aheadMs,
    wallTime: () => this.#fake.wallTime(),
    setTimer: (delayMs, fire) => this.#fake.setTimer(delayMs, fire),
  };
  readonly #budget = new RetryBudget({ ratio: 0.5, windowMs: 1e12, minInFlight: 3 }, this.#clock);
  readonly #throttling = new RetryThrottling({ maxTokens: MAX_TOKENS, tokenRatio: TOKEN_RATIO });
  readonly #breaker: Breaker;
  readonly #shared = new AbortController();
  readonly #closing = new AbortController();
  readonly #calls: Made[] = [];
  readonly #handlers: readonly [UnaryHandler, UnaryHandler];
  #tokens = MAX_TOKENS;
  /** What has happened to attempts since everything was looked at. */
  #unseen = 0;
  /** Somebody left while an answer was on its way: whether that counted is open. */
  #uncertain = false;

  constructor() {
    const policy = { minimumCalls: 6, openMs: 100, trials: 1, trialTimeoutMs: 200 };
    this.#breaker = new Breaker(resolveBreaker(policy), this.#clock, () => 0.5);
    this.#handlers = [this.#handler(40), this.#handler(0)];
  }

  /** What a script can do; each takes which call or attempt it is about, and a number to choose by. */
  readonly actions = {
    call: (_which: number, value: number) => this.#start(value),
    abort: (which: number) => this.#leave(this.#calls[which % Math.max(this.#calls.length, 1)]?.controller),
    abortAll: () => this.#leave(this.#shared),
    close: () => this.#closing.abort(),
    headers: (which: number) => this.#attempt(which)?.headers(),
    succeed: (which: number) => this.#succeed(this.#attempt(which)),
    fail: (which: number, value: number) => this.#fail(this.#attempt(which), value),
    /** Answers any attempt, over or not. */
    late: (which: number) => {
      const all = this.#calls.flatMap(({ attempts }) => attempts);
      this.#succeed(all[which % Math.max(all.length, 1)]);
    },
    turn: () => this.#turn(),
    pass: async (_which: number, value: number) => {
      await this.#turn();
      await this.#fake.advance(byDigit([1, 20, 40, 40, 40, 40, 80, 80, 110, 5_000], value));
      await this.#turn();
    },
    /** Time passes while no timer fires, as on a machine that is busy. */
    jump: (_which: number, value: number) => {
      this.#aheadMs += byDigit([10, 70, 12_000], value);
    },
  };

  /** Everybody leaves; says what is wrong then. */
  async finish(): Promise<readonly string[]> {
    await this.#turn();
    // Longer than any delay or pushback.
    await this.#fake.advance(1_000);
    const waiting = this.#calls.filter((made) => !isSettled(made));
    const stuck = waiting.filter(({ attempts }) => attempts.every(({ over }) => over));
    this.#expect(`a call that has not ended has an attempt under way: ${stuck.length}`, stuck.length === 0);
    for (const { controller } of this.#calls) this.#leave(controller);
    await this.#turn();
    this.#expect("all is settled", this.#calls.every(isSettled));
    this.#expectNothingLeft();
    for (const made of this.#calls) this.#judge(made);
    return this.problems;
  }

  #handler(delayMs: number): UnaryHandler {
    const hedge = {
      options: resolveHedge({ maxAttempts: MAX_ATTEMPTS, delayMs, nonFatalCodes: ["UNAVAILABLE", "ABORTED"] }),
      share: { throttling: this.#throttling, budget: this.#budget, pace: undefined },
      ...{ clock: this.#clock, closed: this.#closing.signal },
      report: reportTo((event) => this.#observe(event), "hedge"),
    };
    const guard = { breaker: this.#breaker, codes: failureCodes(), slowMs: 500, clock: this.#clock, report: undefined };
    const layers = { retryOrHedge: hedgeLayer(hedge), breaker: breakerLayer(guard) };
    const unary = (call: Call) => {
      this.#begins(call);
      const attempt = new ModelUnary(call, this.#clock);
      this.#calls[call.id]?.attempts.push(attempt);
      return attempt.reply;
    };
    const stream = () => {
      throw new Error("no streams here");
    };
    return composeUnary(layers, { unary, stream }, aMethod());
  }

  #start(value: number): void {
    if (this.#calls.length >= MOST_CALLS) return;
    const controller = byDigit([new AbortController(), new AbortController(), this.#shared], value);
    const deadline = byDigit([NO_DEADLINE, 1_000, 1_000, 100, 30], value, 1);
    const maxAttempts = byDigit([undefined, undefined, undefined, 9, 2, 1], value, 2);
    const call = aCall({
      id: this.#calls.length,
      options: maxAttempts === undefined ? {} : { maxAttempts },
      startedAt: this.#clock.now(),
      deadline: deadline + this.#clock.now(),
      signal: controller.signal,
    });
    const made: Made = { call, controller, attempts: [], outcomes: [], open: true, error: undefined };
    this.#calls.push(made);
    byDigit(
      this.#handlers,
      value,
      3,
    )(call).then(
      ({ message }) => made.outcomes.push(message),
      (error: unknown) => {
        made.error = error;
        made.outcomes.push("failed");
      },
    );
  }

  #attempt(which: number): ModelUnary | undefined {
    const open = this.#calls.flatMap(({ attempts }) => attempts.filter(({ over }) => !over));
    return open[which % Math.max(open.length, 1)];
  }

  #leave(controller: AbortController | undefined): void {
    if (!controller || controller.signal.aborted) return;
    if (this.#unseen > 0) this.#uncertain = true;
    for (const made of this.#calls) if (made.controller === controller) made.open = false;
    controller.abort("gone");
  }

  #succeed(attempt: ModelUnary | undefined): void {
    const made = attempt && this.#calls[attempt.call.id];
    if (!made || attempt.over) return attempt?.succeed();
    this.#unseen += 1;
    if (made.open) this.#tokens = Math.min(this.#tokens + TOKEN_RATIO, MAX_TOKENS);
    made.open = false;
    attempt.succeed();
  }

  /** By gRFC A6: what is not fatal, and the server's no, take a token; what is fatal decides the call. */
  #fail(attempt: ModelUnary | undefined, value: number): void {
    const made = attempt && this.#calls[attempt.call.id];
    if (!made) return;
    this.#unseen += 1;
    const error = failureOf(attempt, value);
    if (made.open && error instanceof RpcError && error.reason !== "CLIENT_CLOSED") {
      const nonFatal = NON_FATAL.includes(error.code);
      const isNo = ["-1", "soon"].includes(String(error.trailer?.get("grpc-retry-pushback-ms")));
      if (!error.headersReceived && (nonFatal || isNo)) this.#tokens = Math.max(this.#tokens - 1, 0);
      made.open = nonFatal && !error.headersReceived;
    } else if (!(error instanceof RpcError)) made.open = false;
    attempt.fail(error);
  }

  #observe(event: ObserverEvent): void {
    if (event.type !== "policy" || event.action !== "won") return;
    this.#expect("whoever wins was one of several", Number(event.detail.attempts) > 1);
  }

  /** What must hold of each attempt when it begins. */
  #begins(call: Call): void {
    const made = this.#calls[call.id];
    if (!made) return;
    const { attempt, headers, signal } = call;
    const sent = made.attempts.length;
    this.#expect("attempts count from 1", attempt === sent + 1);
    this.#expect("no more attempts than allowed", attempt <= allowedOf(made));
    const previous = [undefined, "1", "2", "3"][attempt - 1];
    this.#expect("each says how many there were", headers?.["grpc-previous-rpc-attempts"] === previous);
    this.#expect("no attempt for a caller that has left", !signal?.aborted && !made.controller.signal.aborted);
    this.#expect("no attempt for a call that is over", made.outcomes.length === 0);
    this.#expect("no hedge after the deadline", attempt === 1 || this.#clock.now() < made.call.deadline);
    this.#expect("no attempt while the breaker is open", this.#breaker.snapshot().state !== "open");
  }

  async #turn(): Promise<void> {
    await setImmediate();
    this.#unseen = 0;
    for (const made of this.#calls) if (isSettled(made)) made.open = false;
    this.#look();
  }

  /** What must hold whenever nothing is on its way. */
  #look(): void {
    const running = this.#calls.flatMap(({ attempts }) => attempts.filter(({ over }) => !over));
    const extra = running.filter(({ call }) => call.attempt > 1).length;
    const { inFlight } = this.#budget.snapshot();
    this.#expect(`a permit for each hedge under way: ${inFlight} for ${extra}`, inFlight === extra);
    const { tokens } = this.#throttling.snapshot();
    this.#expect(`as many tokens as A6 has: ${tokens} of ${this.#tokens}`, this.#uncertain || tokens === this.#tokens);
    if (this.#uncertain) this.#tokens = tokens;
    this.#uncertain = false;
    const gone = this.#calls.filter(({ controller }) => controller.signal.aborted);
    this.#expect("a caller that leaves is let go at once", gone.every(isSettled));
    const over = this.#calls.filter(isSettled).flatMap(({ attempts }) => attempts);
    this.#expect(
      "what a call no longer needs is cancelled",
      over.every((attempt) => attempt.over),
    );
    if (this.#calls.every(isSettled)) this.#expectNothingLeft();
  }

  #expectNothingLeft(): void {
    const signals = new Set([...this.#calls.map(({ controller }) => controller.signal), this.#closing.signal]);
    const listeners = [...signals].reduce((sum, signal) => sum + listenersOf(signal), 0);
    const { inFlight } = this.#budget.snapshot();
    const { trials } = this.#breaker.snapshot();
    const left = { timers: this.#fake.pending, listeners, permits: inFlight, trials };
    for (const [what, count] of Object.entries(left)) this.#expect(`no ${what} left: ${count}`, count === 0);
  }

  /** What must hold of a call that is over. */
  #judge({ call, attempts, outcomes, error }: Made): void {
    this.#expect(`one outcome: ${outcomes.join(" ")}`, outcomes.length === 1);
    if (!(error instanceof RpcError)) return;
    const { failures, retryStop } = error;
    this.#expect(`${call.id} failed with ${error.attempts} of ${attempts.length}`, error.attempts === attempts.length);
    const inOrder = failures.every(({ attempt }, index) => attempt === index + 1);
    this.#expect("each attempt is among the failures", failures.length === attempts.length && inOrder);
    this.#expect("it says why there was no other", retryStop !== undefined);
  }

  #expect(what: string, holds: boolean): void {
    if (!holds) this.problems.push(what);
  }
}

function failureOf(attempt: ModelUnary, value: number): unknown {
  const code = byDigit<StatusCode>([14, 14, 14, 14, 14, 14, 10, 10, 5, 4], value);
  const pushback = byDigit(
    [undefined, undefined, undefined, undefined, undefined, "0", "30", "300", "-1", "soon"],
    value,
    1,
  );
  const odd = byDigit([false, false, false, false, false, false, false, false, false, true], value, 2);
  const trailer = new Metadata(pushback === undefined ? {} : { "grpc-retry-pushback-ms": pushback });
  const { headersReceived } = attempt;
  const known = new RpcError({ path: "/p", reason: "STATUS", code, details: "", trailer, headersReceived });
  return odd ? byDigit([new TypeError("a mistake"), known.with({ reason: "CLIENT_CLOSED" })], value) : known;
}

function allowedOf({ call }: Made): number {
  return Math.min(MAX_ATTEMPTS, call.options.maxAttempts ?? MAX_ATTEMPTS);
}

function isSettled({ outcomes }: Made): boolean {
  return outcomes.length > 0;
}
