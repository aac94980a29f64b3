import { detached } from "../../core/call-context.ts";
import { type Clock, RECENT_MS, type Timer } from "../../core/clock.ts";
import { notify, type Observer } from "../../core/observer.ts";
import { type CheckRun, type CheckSnapshot, type CheckStatus, HealthChecks } from "../../policy/health-checks.ts";
import type { CheckDepth, NamedCheck } from "./check-options.ts";
import { errorText } from "./error-text.ts";

/** How a check stands. */
export interface HealthCheckResult {
  readonly name: string;
  readonly depth: CheckDepth;
  /** `pending` until its first run has ended. */
  readonly status: CheckStatus;
  /** How long its last run took, in milliseconds; undefined before the first has ended. */
  readonly durationMs: number | undefined;
  /** How long ago its last run ended, in milliseconds; undefined before the first has ended. */
  readonly ageMs: number | undefined;
  /** Why its last run failed; undefined if it passed. Not for strangers: it may name hosts and users. */
  readonly error: string | undefined;
}

/** What a server's checks run with. */
export interface CheckRunnerOptions {
  readonly clock: Clock;
  /** How many deep checks may run at a time, and how many business checks. Default: 4. */
  readonly maxConcurrent?: number | undefined;
  readonly observer?: Observer | undefined;
}

/** How many checks of a depth run at a time unless said otherwise. */
export const DEFAULT_MAX_CONCURRENT_CHECKS = 4;

/** Runs a server's checks from `start` to `stop`, and tells when one of them has come to stand otherwise. */
export class CheckRunner {
  /** Called when a check was added, and when one has come to pass or to fail. */
  onChange: () => void = () => {};
  readonly #clock: Clock;
  readonly #observer: Observer | undefined;
  readonly #machine: HealthChecks<NamedCheck>;
  readonly #checks: NamedCheck[] = [];
  /** What stops each run that has its place. */
  readonly #running = new Set<() => void>();
  readonly #waiting = new Map<NamedCheck, PromiseWithResolvers<void>>();
  #started = false;
  #stopped = false;
  #timer: Timer | undefined;

  constructor({ clock, maxConcurrent = DEFAULT_MAX_CONCURRENT_CHECKS, observer }: CheckRunnerOptions) {
    this.#clock = clock;
    this.#observer = observer;
    this.#machine = new HealthChecks(maxConcurrent, clock);
  }

  get checks(): readonly NamedCheck[] {
    return this.#checks;
  }

  add(check: NamedCheck): void {
    this.#checks.push(check);
    this.#machine.add(check);
    this.onChange();
    this.#beginDue();
  }

  snapshot(check: NamedCheck): CheckSnapshot {
    const snapshot = this.#machine.snapshot(check);
    if (!snapshot) throw new TypeError(`there is no check ${check.name}`);
    return snapshot;
  }

  result(check: NamedCheck): HealthCheckResult {
    const { status, durationMs, ageMs, failure } = this.snapshot(check);
    return { name: check.name, depth: check.depth, status, durationMs, ageMs, error: failure };
  }

  /** Whether it has begun: as soon as the server serves an address. */
  get started(): boolean {
    return this.#started;
  }

  /** Runs what is due from now on. */
  start(): void {
    this.#started = true;
    this.#beginDue();
  }

  /** Runs nothing any more: what runs is told to stop, and whatever it comes to is dropped. */
  stop(): void {
    this.#stopped = true;
    this.#timer?.cancel();
    for (const stop of this.#running) stop();
    for (const { resolve } of this.#waiting.values()) resolve();
    this.#waiting.clear();
  }

  /** Resolves when a check has a result that holds; several who ask share a run. */
  refreshed(check: NamedCheck): Promise<void> {
    if (!this.#runs || !this.#machine.want(check)) return Promise.resolve();
    const waiting = this.#waiting.get(check) ?? Promise.withResolvers<void>();
    this.#waiting.set(check, waiting);
    this.#beginDue();
    return waiting.promise;
  }

  get #runs(): boolean {
    return this.#started && !this.#stopped;
  }

  #beginDue(): void {
    if (!this.#runs) return;
    for (let run = this.#machine.tryBegin(); run; run = this.#machine.tryBegin()) void this.#run(run);
    this.#timer?.cancel();
    this.#timer = this.#clock.setTimer(this.#machine.wakeInMs(), () => this.#beginDue());
  }

  async #run(run: CheckRun<NamedCheck>): Promise<void> {
    const { check } = run;
    const controller = new AbortController();
    const timer = this.#limit(check.timeoutMs, () => {
      this.#running.delete(stop);
      const reason = new DOMException(`no answer within ${check.timeoutMs} ms`, "TimeoutError");
      this.#settle(check, () => run.giveUp(reason.message));
      controller.abort(reason);
    });
    const stop = () => {
      timer.cancel();
      controller.abort(new DOMException("the server is draining", "AbortError"));
    };
    this.#running.add(stop);
    const failure = await failureOf(check, controller.signal);
    timer.cancel();
    this.#running.delete(stop);
    this.#settle(check, () => (failure === undefined ? run.pass() : run.fail(failure)));
  }

  /** A process that stands still reads no answer: by how much the timer is late, that much longer is waited, once. */
  #limit(timeoutMs: number, timeUp: () => void): Timer {
    const since = this.#clock.now();
    let timer = this.#clock.setTimer(timeoutMs, () => {
      const lateMs = this.#clock.now() - since - timeoutMs;
      if (lateMs <= RECENT_MS) timeUp();
      else timer = this.#clock.setTimer(lateMs, timeUp);
    });
    return { cancel: () => timer.cancel() };
  }

  /** @param settle returns whether it counts. */
  #settle(check: NamedCheck, settle: () => boolean): void {
    if (this.#stopped) return;
    const before = this.snapshot(check).status;
    if (settle()) {
      this.#waiting.get(check)?.resolve();
      this.#waiting.delete(check);
    }
    const result = this.result(check);
    if (result.status !== before) this.#changed(result);
    this.#beginDue();
  }

  #changed({ name, depth, status, error }: HealthCheckResult): void {
    this.onChange();
    if (!this.#observer) return;
    const detail = { check: name, depth, ...(error !== undefined && { error }) };
    notify(this.#observer, { type: "policy", policy: "health", action: status, detail });
  }
}

/** Runs a check outside of any call, in a turn of its own: it may do whatever it likes with the server. */
async function failureOf({ run }: NamedCheck, signal: AbortSignal): Promise<string | undefined> {
  try {
    await undefined;
    return (await detached(() => run({ signal }))) === false ? "it returned false" : undefined;
  } catch (error) {
    return errorText(error);
  }
}
