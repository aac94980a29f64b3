import type { Address } from "./check-rules.ts";
import type { FaultRule } from "./rules.ts";
import type { Seen } from "./seen.ts";

/** What the proxy's process is told first. */
export interface Start {
  readonly type: "start";
  readonly target: Address;
  readonly seed: number;
  readonly rules: readonly FaultRule[];
  /** The instant that all times count from, on the machine's monotonic clock. */
  readonly originMs: number;
}

/** What is asked of the proxy's process later. */
export type Request =
  | { readonly type: "script"; readonly rules: readonly FaultRule[] }
  | { readonly type: "seen" }
  | { readonly type: "forget" };

/** A request with the number that its reply carries. */
export type Numbered = Request & { readonly id: number };

/** What the proxy's process says. */
export type Told =
  | { readonly type: "listening"; readonly port: number }
  | { readonly type: "reply"; readonly id: number; readonly seen?: Seen }
  | { readonly type: "warning"; readonly text: string };
