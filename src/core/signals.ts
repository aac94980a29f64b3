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
