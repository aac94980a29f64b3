import { sleep, systemClock } from "../core/clock.ts";

type Drain = () => Promise<unknown>;

/** What waits for one signal: every server of the process shares a listener. */
interface Waiting {
  readonly drains: Set<Drain>;
  readonly listener: () => void;
  /** From the signal on, until it takes its course: whoever begins to listen meanwhile is drained as well. */
  draining: boolean;
}

const waiting = new Map<NodeJS.Signals, Waiting>();

/**
 * Drains when one of the signals comes; once all that wait for it are drained, the signal takes its course. Other
 * listeners of the signal decide for themselves how the process ends.
 *
 * @returns what waits no longer; to be called when the drain is over.
 */
export function drainOnSignal(signals: readonly NodeJS.Signals[], drain: Drain): () => void {
  for (const signal of signals) add(signal, drain);
  return () => {
    for (const signal of signals) remove(signal, drain);
  };
}

function add(signal: NodeJS.Signals, drain: Drain): void {
  const known = waiting.get(signal);
  if (known) return void known.drains.add(drain);
  const listener = () => {
    // A signal that comes again while servers drain changes nothing.
    if (!added.draining) void drainAll(signal, added);
  };
  const added: Waiting = { drains: new Set([drain]), listener, draining: false };
  waiting.set(signal, added);
  process.on(signal, listener);
}

function remove(signal: NodeJS.Signals, drain: Drain): void {
  const known = waiting.get(signal);
  known?.drains.delete(drain);
  if (known?.drains.size === 0 && !known.draining) forget(signal, known);
}

function forget(signal: NodeJS.Signals, { listener }: Waiting): void {
  process.off(signal, listener);
  waiting.delete(signal);
}

async function drainAll(signal: NodeJS.Signals, known: Waiting): Promise<void> {
  known.draining = true;
  // A server may have begun to listen while others drained.
  while (known.drains.size > 0) {
    const now = [...known.drains];
    await Promise.allSettled(now.map((drain) => drain()));
    // Warnings are written in a later turn: of calls that were given up on, for one.
    await sleep(systemClock, 0);
    for (const drain of now) known.drains.delete(drain);
  }
  forget(signal, known);
  if (process.listenerCount(signal) === 0) process.kill(process.pid, signal);
}
