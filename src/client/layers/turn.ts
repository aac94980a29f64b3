import type { Call } from "../../core/call.ts";
import type { Clock } from "../../core/clock.ts";
import { RpcError } from "../../core/errors.ts";
import type { BulkheadPermit, BulkheadPlace } from "../../policy/bulkhead.ts";
import type { Waits } from "../waits.ts";

/** What a call waits by. */
export interface TurnContext {
  /** How long it may wait, in milliseconds. */
  readonly maxWaitMs: number;
  readonly clock: Clock;
  /** Aborts when the client is closed; undefined if it cannot be. */
  readonly closed: AbortSignal | undefined;
  /** Is told how long each call that is sent has waited. */
  readonly waits: Waits;
}

/**
 * A call that waits in a bulkhead's queue. It leaves the queue, and is never sent, when its caller leaves, its deadline
 * or the longest wait passes, or the client is closed.
 */
export class Turn {
  /** The permit; rejects with what ended the wait. */
  readonly permit: Promise<BulkheadPermit>;
  readonly #place: BulkheadPlace;
  #reject: (error: unknown) => void = () => {};
  #cleanup: () => void = () => {};

  constructor(place: BulkheadPlace, call: Call, context: TurnContext) {
    this.#place = place;
    context.waits.set(call, Number.POSITIVE_INFINITY);
    this.permit = new Promise((resolve, reject) => {
      this.#reject = reject;
      place.onTurn((permit) => {
        this.#cleanup();
        resolve(permit);
      });
    });
    this.#watch(call, context);
  }

  /** Leaves the queue, unless the turn has come. @param error what `permit` rejects with, if anybody is to be told. */
  leave(error?: unknown): void {
    if (!this.#place.leave()) return;
    this.#cleanup();
    this.#reject(error);
  }

  #watch(call: Call, { clock, closed, maxWaitMs }: TurnContext): void {
    const { signal, deadline } = call;
    if (signal?.aborted) return this.leave(signal.reason);
    if (closed?.aborted) return this.leave(closedError(call));
    const onAbort = () => this.leave(signal?.reason);
    const onClose = () => this.leave(closedError(call));
    const remainingMs = deadline - clock.now();
    const error = () => (remainingMs <= maxWaitMs ? expired(call) : waitedInVain(call, maxWaitMs));
    const timer = clock.setTimer(Math.min(remainingMs, maxWaitMs), () => this.leave(error()));
    signal?.addEventListener("abort", onAbort, { once: true });
    closed?.addEventListener("abort", onClose, { once: true });
    this.#cleanup = () => {
      timer.cancel();
      signal?.removeEventListener("abort", onAbort);
      closed?.removeEventListener("abort", onClose);
    };
  }
}

/**
 * The call whose turn has come, as it is sent.
 *
 * @throws what it ends with instead, if meanwhile it must not be sent any more.
 */
export function begun(call: Call, { clock, waits }: Pick<TurnContext, "clock" | "waits">): Call {
  const startedAt = clock.now();
  if (call.signal?.aborted) throw call.signal.reason;
  if (startedAt >= call.deadline) throw expired(call);
  waits.set(call, startedAt - call.startedAt);
  return { ...call, startedAt };
}

function expired({ method: { path } }: Call): RpcError {
  const details = "the deadline passed while the call waited for its turn";
  return new RpcError({ path, reason: "DEADLINE_BEFORE_SEND", details, attempts: 0 });
}

function waitedInVain({ method: { path } }: Call, maxWaitMs: number): RpcError {
  const details = `its turn did not come within ${maxWaitMs} ms: no attempt was sent`;
  return new RpcError({ path, reason: "BULKHEAD_FULL", details, attempts: 0 });
}

function closedError({ method: { path } }: Call): RpcError {
  return new RpcError({ path, reason: "CLIENT_CLOSED", details: "the client is closed", attempts: 0 });
}
