/**
 * Drains when one of the signals comes; then lets the signal take its course. Other listeners of the signal decide
 * for themselves how the process ends.
 *
 * @returns what takes the listeners off again.
 */
export function drainOnSignal(signals: readonly NodeJS.Signals[], drain: () => Promise<unknown>): () => void {
  const listeners = signals.map((signal) => {
    const listener = () => {
      void drain().finally(() => {
        stop();
        if (process.listenerCount(signal) === 0) process.kill(process.pid, signal);
      });
    };
    process.on(signal, listener);
    return { signal, listener };
  });
  const stop = () => {
    for (const { signal, listener } of listeners) process.off(signal, listener);
  };
  return stop;
}
