import type { CostOptions } from "./cost.ts";

/** What a process is to measure: the row with this index. */
export interface CostOrder extends CostOptions {
  readonly row: number;
}

/** What a row, and all that it is compared with, came to: nanoseconds per call, in the order of the rounds. */
export interface RowCosts {
  readonly title: string;
  readonly gated: boolean;
  readonly nanos: readonly number[];
  readonly work: readonly number[];
  readonly opossum: readonly number[];
  readonly cockatiel: readonly number[];
}

/** What a row came to in two processes. */
export function together(one: RowCosts, other: RowCosts): RowCosts {
  const both = (key: "nanos" | "work" | "opossum" | "cockatiel") => [...one[key], ...other[key]];
  return { ...one, nanos: both("nanos"), work: both("work"), opossum: both("opossum"), cockatiel: both("cockatiel") };
}
