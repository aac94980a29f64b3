/** A signal and what takes its listeners off the signals it follows. */
export interface LinkedSignal {
  readonly signal: AbortSignal | undefined;
  /** If there is one, it must be called when the work is over: signals often outlive it. */
  readonly cleanup: (() => void) | undefined;
}

/** One signal for two: aborts with the reason of whichever aborts first. Costs nothing while only one is given. */
export function linkSignals(a: AbortSignal | undefined, b: AbortSignal | undefined): LinkedSignal {
  if (!a || !b || a === b) return { signal: a ?? b, cleanup: undefined };
  if (a.aborted || b.aborted) return { signal: a.aborted ? a : b, cleanup: undefined };
  const controller = new AbortController();
  const onA = () => controller.abort(a.reason);
  const onB = () => controller.abort(b.reason);
  a.addEventListener("abort", onA, { once: true });
  b.addEventListener("abort", onB, { once: true });
  const cleanup = () => {
    a.removeEventListener("abort", onA);
    b.removeEventListener("abort", onB);
  };
  return { signal: controller.signal, cleanup };
}

/**
 * What some work comes to, or fails with, unless a signal aborts before: whoever waits then goes on without it.
 *
 * @throws the signal's reason, also if it aborted before.
 */
export async function unlessAborted<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  const { promise, resolve, reject } = Promise.withResolvers<T>();
  const onAbort = () => reject(signal.reason);
  if (signal.aborted) onAbort();
  else signal.addEventListener("abort", onAbort, { once: true });
  work.then(resolve, reject);
  try {
    return await promise;
  } finally {
    signal.removeEventListener("abort", onAbort);
  }
}
