import { keys } from "./keys.ts";
import { ours } from "./ours.ts";
import { cockatiel, opossum } from "./peers.ts";
import { sharing } from "./sharing.ts";
import type { Subject } from "./subject.ts";

/** The rows of the table of costs, and what each is measured beside. */
export interface Rows {
  /** In the order of the table. */
  readonly all: readonly Subject[];
  /** Those that must keep the gates: retry, breaker and deadline, over each of the two ways in. */
  readonly gated: ReadonlySet<Subject>;
  readonly work: Subject;
  readonly opossum: Subject;
  readonly cockatiel: Subject;
  /** Ends the timers of what was never called. */
  stop(): void;
}

/** All that is measured. @param inFlight how many calls are under way at a time. */
export function rows(inFlight: number): Rows {
  const own = ours();
  const wraps = cockatiel();
  const breakers = opossum();
  const peers = [...Object.values(wraps), breakers.without, breakers.withTimeout];
  return {
    all: [...Object.values(own), ...keys(), ...sharing(inFlight), ...peers],
    gated: new Set([own.pipeline, own.direct]),
    ...{ work: own.work, opossum: breakers.withTimeout, cockatiel: wraps.wrap, stop: breakers.stop },
  };
}
