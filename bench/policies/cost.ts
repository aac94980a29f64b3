import { setImmediate } from "node:timers/promises";
import type { Subject } from "./subject.ts";

/** Nanoseconds per call, in the order of the rounds. */
export type Costs = ReadonlyMap<Subject, readonly number[]>;

/** How costs are measured. */
export interface CostOptions {
  /** Calls under way at a time. */
  readonly inFlight: number;
  readonly rounds: number;
  readonly windowMs: number;
}

/** Measures all subjects in turn, a short window each, in an order that is reversed every round. */
export async function measureCosts(subjects: readonly Subject[], options: CostOptions): Promise<Costs> {
  const { inFlight, rounds, windowMs } = options;
  const calls = new Map<Subject, number>();
  for (const subject of subjects) calls.set(subject, await callsWithin(subject, inFlight, windowMs));
  const costs = new Map<Subject, number[]>(subjects.map((subject) => [subject, []]));
  for (let round = 0; round < rounds; round += 1) {
    for (const subject of round % 2 ? subjects.toReversed() : subjects) {
      costs.get(subject)?.push(await nanosPerCall(subject, inFlight, calls.get(subject) ?? 0));
    }
  }
  return costs;
}

const WARM_UP_MS = 150;

/** How many calls fit a window, once the code is compiled. */
async function callsWithin(subject: Subject, inFlight: number, windowMs: number): Promise<number> {
  const end = performance.now() + WARM_UP_MS;
  let nanos = 0;
  while (performance.now() < end) nanos = await nanosPerCall(subject, inFlight, 1_000);
  return Math.ceil((windowMs * 1e6) / nanos);
}

async function nanosPerCall({ call }: Subject, inFlight: number, calls: number): Promise<number> {
  // Nobody pays for the garbage of whoever ran before; what finalizers are due run in a turn of the event loop.
  globalThis.gc?.({ type: "minor", execution: "sync" });
  await setImmediate();
  const each = Math.ceil(calls / inFlight);
  const loop = async () => {
    for (let made = 0; made < each; made += 1) await call();
  };
  const begin = performance.now();
  await Promise.all(Array.from({ length: inFlight }, loop));
  return ((performance.now() - begin) * 1e6) / (each * inFlight);
}
