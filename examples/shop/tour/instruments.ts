import { setTimeout as sleep } from "node:timers/promises";
import { currentCall } from "bowline";
import type { CallContext, ServerMiddleware, ServerMiddlewareCall } from "nice-grpc-common";

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
  /** The longest time that any of them had left when it arrived, in milliseconds; Infinity without a deadline. */
  mostRemainingMs: number;
}

/** By the method's name, such as `GetOrder`. */
export type Counts = Readonly<Record<string, ServedCounts>>;

/** The counts of a method that was never called. */
export const NOTHING: ServedCounts = { started: 0, answered: 0, refused: 0, stopped: 0, mostRemainingMs: 0 };

/** Counts what a service process is asked and tells the process that started it; and can make the service slow. */
export class Instruments {
  readonly #counts: Record<string, ServedCounts> = {};
  readonly #delayMs: number;

  /** @param delayMs how long each call waits before its handler runs, or until it is cancelled. */
  constructor(delayMs: number) {
    this.#delayMs = delayMs;
    process.on("message", (message) => {
      if (message === "report") void this.report();
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
    counts.mostRemainingMs = Math.max(counts.mostRemainingMs, currentCall()?.remainingMs() ?? Number.POSITIVE_INFINITY);
    let outcome: "answered" | "refused" | "stopped" = "stopped";
    try {
      if (this.#delayMs > 0) await sleep(this.#delayMs, undefined, { signal: context.signal });
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
}
