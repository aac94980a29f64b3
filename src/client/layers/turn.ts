import type { Call } from "../../core/call.ts";
import type { Clock } from "../../core/clock.ts";
import { RpcError } from "../../core/errors.ts";
import type { BulkheadPermit, BulkheadPlace } from "../../policy/bulkhead.ts";
import type { Waits } from "../waits.ts";
import { expired, watchCall } from "./watch-call.ts";

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
  readonly #call: Call;
  readonly #context: TurnContext;
  readonly #stalledBefore: number;
  #reject: (error: unknown) => void = () => {};
  #cleanup: (() => void) | undefined;

  constructor(place: BulkheadPlace, call: Call, context: TurnContext) {
    this.#place = place;
    this.#call = call;
    this.#context = context;
    this.#stalledBefore = context.clock.stalledMs?.(call.startedAt) ?? 0;
    context.waits.set(call, Number.POSITIVE_INFINITY);
    this.permit = new Promise((resolve, reject) => {
      this.#reject = reject;
      place.onTurn((permit) => {
        this.#cleanup?.();
        resolve(permit);
      });
    });
    const { clock, closed, maxWaitMs: waitMs } = context;
    const most = { waitMs, error: () => waitedInVain(call, waitMs) };
    const leave = (error: unknown) => this.leave(error);
    this.#cleanup = watchCall(call, { what: "its turn", clock, closed, most, leave });
  }

  /**
   * The call as it is sent, now that its turn has come.
   *
   * @throws what it ends with instead, if meanwhile it must not be sent any more.
   */
  begin(): Call {
    const call = this.#call;
    const { clock, waits } = this.#context;
    const startedAt = clock.now();
    if (call.signal?.aborted) throw call.signal.reason;
    if (startedAt >= call.deadline) throw expired(call, "its turn");
    // Time for which the process stood still is excused by itself, in the queue too.
    const stalledMs = (clock.stalledMs?.(startedAt) ?? 0) - this.#stalledBefore;
    waits.set(call, startedAt - call.startedAt - stalledMs);
    return { ...call, startedAt };
  }

  /** Leaves the queue, unless the turn has come. @param error what `permit` rejects with, if anybody is to be told. */
  leave(error?: unknown): void {
    if (!this.#place.leave()) return;
    this.#cleanup?.();
    this.#reject(error);
  }
}

function waitedInVain({ method: { path } }: Call, maxWaitMs: number): RpcError {
  const details = `its turn did not come within ${maxWaitMs} ms: no attempt was sent`;
  return new RpcError({ path, reason: "BULKHEAD_FULL", details, attempts: 0 });
}
