import type { Call } from "../../core/call.ts";
import { clientClosed } from "../../core/client-closed.ts";
import type { Clock } from "../../core/clock.ts";
import { RpcError } from "../../core/errors.ts";

/** A call's wait before it is sent. */
export interface CallWait {
  /** What is waited for, as errors name it. */
  readonly what: "its turn" | "its credentials";
  readonly clock: Clock;
  /** Aborts when the client is closed; undefined if it cannot be. */
  readonly closed: AbortSignal | undefined;
  /** The longest wait, in milliseconds, and what ends it; default: until the deadline. */
  readonly most?: { readonly waitMs: number; error(): RpcError };
  /** Ends the wait with what the call ends with. */
  leave(error: unknown): void;
}

/**
 * Ends a call's wait when its caller leaves, its time is over, or the client is closed: at once, if that is so already.
 *
 * @returns what ends the watching; undefined if the wait has ended at once.
 */
export function watchCall(call: Call, wait: CallWait): (() => void) | undefined {
  const { signal, deadline, method } = call;
  const { clock, closed, most, what } = wait;
  const onAbort = () => wait.leave(signal?.reason);
  const onClose = () => wait.leave(clientClosed(method.path));
  if (signal?.aborted || closed?.aborted) {
    (signal?.aborted ? onAbort : onClose)();
    return undefined;
  }
  const remainingMs = deadline - clock.now();
  const limit = most && most.waitMs < remainingMs ? most : { waitMs: remainingMs, error: () => expired(call, what) };
  const timer = clock.setTimer(limit.waitMs, () => wait.leave(limit.error()));
  signal?.addEventListener("abort", onAbort, { once: true });
  closed?.addEventListener("abort", onClose, { once: true });
  return () => {
    timer.cancel();
    signal?.removeEventListener("abort", onAbort);
    closed?.removeEventListener("abort", onClose);
  };
}

/** What a call ends with whose deadline passed before it was sent. */
export function expired({ method: { path } }: Call, what: CallWait["what"]): RpcError {
  const details = `the deadline passed while the call waited for ${what}`;
  return new RpcError({ path, reason: "DEADLINE_BEFORE_SEND", details, attempts: 0 });
}
