import type { CallOptions } from "../core/call-options.ts";
import type { Clock, Timer } from "../core/clock.ts";
import { NO_DEADLINE } from "../core/deadline.ts";
import { RpcError } from "../core/errors.ts";
import { warnRarely } from "../core/warning.ts";

/** How calls are made that belong together. */
export interface SettleAllOptions {
  /** How long all of them may take together, in milliseconds. Default: no limit beside each call's own. */
  readonly timeoutMs?: number | undefined;
  /** How many may be under way at a time, begun in the order of their keys; at least 1. Default: all. */
  readonly maxConcurrent?: number | undefined;
  /** Cancels all of them when it aborts; `settleAll` then rejects with `signal.reason`. Default: none. */
  readonly signal?: AbortSignal | undefined;
  /**
   * Whether a call that fails cancels the others, those included that have not begun; a function says which failures
   * do, and one that throws is warned of and taken for no. Default: false, so that one failure costs one answer.
   */
  readonly cancelOnError?: (boolean | ((error: RpcError, key: string) => boolean)) | undefined;
  /** Where time comes from; for tests. Default: the machine's. */
  readonly clock?: Clock | undefined;
}

/** What is to be passed on to the call, as its options or among them. */
export interface SettleCallOptions extends Pick<CallOptions, "timeoutMs"> {
  /** Aborts when the time of all is over, when a sibling's failure cancels this call, and with the caller's signal. */
  readonly signal: AbortSignal;
}

/** Makes one of the calls. A promise in its place would have begun, and could not be cancelled any more. */
export type SettleTask<Value = unknown> = (options: SettleCallOptions) => Value | PromiseLike<Value>;

/** What became of one call. */
export type Settled<Value> =
  | { readonly ok: true; readonly value: Value }
  | { readonly ok: false; readonly error: RpcError };

/** What became of all of them, by the keys of the calls. */
export type SettledAll<Tasks> = {
  readonly [Key in keyof Tasks]: Tasks[Key] extends (...args: never[]) => infer Result
    ? Settled<Awaited<Result>>
    : never;
};

/** What calls end with once no more are wanted. */
interface Ending {
  /** Those that are under way; their signal aborts with it. */
  readonly underWay: RpcError;
  /** One that has not begun. */
  readonly unbegun: (key: string) => RpcError;
}

/** Calls that are made together, from the first one's beginning to the last one's end. */
export class Settling {
  /** What became of each, by its key; rejects when the caller's own signal aborts. */
  readonly outcome: Promise<Record<string, Settled<unknown>>>;
  readonly #tasks: readonly (readonly [string, SettleTask])[];
  readonly #options: SettleAllOptions;
  readonly #clock: Clock;
  readonly #deadline: number;
  readonly #controller = new AbortController();
  readonly #settled = new Map<string, Settled<unknown>>();
  readonly #timers: Timer[] = [];
  readonly #finish: (rejection?: { readonly reason: unknown }) => void;
  #begun = 0;
  #over = false;

  constructor(tasks: readonly (readonly [string, SettleTask])[], options: SettleAllOptions, clock: Clock) {
    this.#tasks = tasks;
    this.#options = options;
    this.#clock = clock;
    const { signal, timeoutMs = NO_DEADLINE } = options;
    const now = clock.now();
    this.#deadline = now + timeoutMs;
    const { promise, resolve, reject } = Promise.withResolvers<Record<string, Settled<unknown>>>();
    this.outcome = promise;
    const leave = () => {
      this.#over = true;
      this.#controller.abort(signal?.reason);
      this.#finish({ reason: signal?.reason });
    };
    this.#finish = (rejection) => {
      for (const timer of this.#timers) timer.cancel();
      signal?.removeEventListener("abort", leave);
      if (rejection) reject(rejection.reason);
      else resolve(this.#record());
    };
    if (signal?.aborted) leave();
    else {
      signal?.addEventListener("abort", leave, { once: true });
      this.#timers.push(clock.setTimer(timeoutMs, () => this.#end(late(timeoutMs)), now));
      this.#go();
    }
  }

  /** In the order of the keys, whichever ended first. */
  #record(): Record<string, Settled<unknown>> {
    return Object.fromEntries(this.#tasks.map(([key]) => [key, this.#settled.get(key) as Settled<unknown>]));
  }

  /** Begins what may begin, and ends when all have ended. */
  #go(): void {
    const { maxConcurrent = Number.POSITIVE_INFINITY } = this.#options;
    while (this.#mayBegin() && this.#begun - this.#settled.size < maxConcurrent) {
      // The index is within bounds.
      const [key, task] = this.#tasks[this.#begun] as readonly [string, SettleTask];
      this.#begun += 1;
      this.#begin(key, task);
    }
    if (this.#settled.size === this.#tasks.length) this.#finish();
  }

  /** A timer may be late: what ran into its own share of the deadline makes no room for another. */
  #mayBegin(): boolean {
    return !this.#over && this.#begun < this.#tasks.length && this.#clock.now() < this.#deadline;
  }

  #begin(key: string, task: SettleTask): void {
    const work = new Promise((resolve) => resolve(task(this.#callOptions())));
    work.then(
      (value) => this.#settle(key, { ok: true, value }),
      (error) => this.#fail(key, RpcError.from(error)),
    );
  }

  #callOptions(): SettleCallOptions {
    const { signal } = this.#controller;
    if (this.#deadline === NO_DEADLINE) return { signal };
    return { signal, timeoutMs: Math.max(this.#deadline - this.#clock.now(), 0) };
  }

  #fail(key: string, error: RpcError): void {
    if (!this.#over && this.#cancels(error, key)) this.#end(cancelledBy(key, error));
    this.#settle(key, { ok: false, error });
  }

  #cancels(error: RpcError, key: string): boolean {
    const { cancelOnError = false } = this.#options;
    if (typeof cancelOnError === "boolean") return cancelOnError;
    try {
      return cancelOnError(error, key);
    } catch (thrown) {
      warnRarely("cancelOnError threw", thrown);
      return false;
    }
  }

  #settle(key: string, settled: Settled<unknown>): void {
    if (this.#settled.has(key)) return;
    this.#settled.set(key, settled);
    this.#go();
  }

  /**
   * No more calls are wanted. Those under way hear it first: one that looks at its signal, or has failed by itself in
   * the same turn, says so with its own error. The others are not waited for.
   */
  #end({ underWay, unbegun }: Ending): void {
    if (this.#over) return;
    this.#over = true;
    this.#controller.abort(underWay);
    const giveUp = () => {
      for (const [key] of this.#tasks) this.#settle(key, { ok: false, error: underWay });
    };
    this.#timers.push(this.#clock.setTimer(0, giveUp));
    for (const [key] of this.#tasks.slice(this.#begun)) this.#settle(key, { ok: false, error: unbegun(key) });
  }
}

function late(timeoutMs: number): Ending {
  const details = `the ${timeoutMs} ms of settleAll are over`;
  return {
    underWay: new RpcError({ path: "", reason: "DEADLINE_EXCEEDED", details }),
    unbegun: (key) => {
      const waiting = `${details}, and ${JSON.stringify(key)} has not begun`;
      return new RpcError({ path: "", reason: "DEADLINE_BEFORE_SEND", details: waiting, attempts: 0 });
    },
  };
}

function cancelledBy(failed: string, cause: RpcError): Ending {
  const details = `cancelled, since ${JSON.stringify(failed)} failed`;
  return {
    underWay: new RpcError({ path: "", reason: "CANCELLED", details, cause }),
    unbegun: (key) => {
      const waiting = `${details}; ${JSON.stringify(key)} has not begun`;
      return new RpcError({ path: "", reason: "CANCELLED", details: waiting, attempts: 0, cause });
    },
  };
}
