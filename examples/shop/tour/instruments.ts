import { setTimeout as sleep } from "node:timers/promises";
import { currentCall, fail } from "bowline";
import type { CallContext, ServerMiddleware, ServerMiddlewareCall } from "nice-grpc-common";
import type { Settings } from "../settings.ts";
import { heldMib } from "./memory.ts";

/** What became of the calls of one method, as the process that served them saw it. */
export interface ServedCounts {
  /** Calls that arrived. */
  started: number;
  /** Of them: the handler finished. */
  answered: number;
  /** Of them: the handler threw while the caller was waiting. */
  refused: number;
  /** Of them: the caller no longer waited, or the server ended the stream, and the work was stopped. */
  stopped: number;
  /** Of them: those that were made to wait before their handler ran. */
  delayed: number;
  /** Of those: the caller left before the wait was over. */
  leftDelayed: number;
  /** The most that were there at a time, those that were refused at once included. */
  mostAtOnce: number;
  /** The longest time that any of them had left when it arrived, in milliseconds; Infinity without a deadline. */
  mostRemainingMs: number;
}

/** By the method's name, such as `GetOrder`. */
export type Counts = Readonly<Record<string, ServedCounts>>;

/** The counts of a method that was never called. */
export const NOTHING: ServedCounts = {
  ...{ started: 0, answered: 0, refused: 0, stopped: 0 },
  ...{ delayed: 0, leftDelayed: 0, mostAtOnce: 0, mostRemainingMs: 0 },
};

/** How many calls of a method are there now: those that have come and not ended in any way. */
export function underWay({ started, answered, refused, stopped }: ServedCounts): number {
  return started - answered - refused - stopped;
}

/**
 * Counts what a service process is asked and tells the process that started it, when that asks, as it does what this
 * one holds on to; and can make the service weak.
 */
export class Instruments {
  readonly #counts: Record<string, ServedCounts> = {};
  readonly #weakness: Pick<Settings, "delayMs" | "delayEvery" | "atOnce">;

  /** @param weakness how long which calls wait before their handler runs, or until they are cancelled; and the bound. */
  constructor(weakness: Pick<Settings, "delayMs" | "delayEvery" | "atOnce">) {
    this.#weakness = weakness;
    process.on("message", (message) => {
      if (message === "report") void this.report();
      if (message === "memory") process.send?.({ type: "memory", heldMib: heldMib() });
    });
  }

  readonly middleware: ServerMiddleware = (call, context) => this.#serve(call, context);

  /** Sends the counts; resolves when they are on their way. */
  report(): Promise<void> {
    return new Promise((resolve) => {
      if (!process.send || !process.connected) return resolve();
      process.send({ type: "counts", counts: this.#counts }, undefined, undefined, () => resolve());
    });
  }

  async *#serve<Request, Response>(
    call: ServerMiddlewareCall<Request, Response>,
    context: CallContext,
    // biome-ignore lint/suspicious/noConfusingVoidType: nice-grpc's type
  ): AsyncGenerator<Response, Response | void, undefined> {
    const name = call.method.path.slice(call.method.path.lastIndexOf("/") + 1);
    this.#counts[name] ??= { ...NOTHING };
    const counts = this.#counts[name];
    counts.started++;
    counts.mostAtOnce = Math.max(counts.mostAtOnce, underWay(counts));
    counts.mostRemainingMs = Math.max(counts.mostRemainingMs, currentCall()?.remainingMs() ?? Number.POSITIVE_INFINITY);
    let outcome: "answered" | "refused" | "stopped" = "stopped";
    try {
      await this.#weaken(counts, context.signal);
      const response = yield* call.next(call.request, context);
      outcome = "answered";
      return response;
    } catch (error) {
      if (!context.signal.aborted) outcome = "refused";
      throw error;
    } finally {
      counts[outcome]++;
    }
  }

  async #weaken(counts: ServedCounts, signal: AbortSignal): Promise<void> {
    const { delayMs, delayEvery, atOnce } = this.#weakness;
    if (atOnce > 0 && underWay(counts) > atOnce) fail("RESOURCE_EXHAUSTED", `more than ${atOnce} calls at a time`);
    if (delayMs === 0 || counts.started % delayEvery !== 0) return;
    counts.delayed++;
    try {
      await sleep(delayMs, undefined, { signal });
    } catch (error) {
      counts.leftDelayed++;
      throw error;
    }
  }
}
