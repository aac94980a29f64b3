import type { Order } from "./measure.ts";
import type { MessageSize } from "./message.ts";
import type { StackName } from "./stacks/index.ts";

/** What a stack must reach, as a ratio within a round. */
export interface Gate {
  readonly stack: StackName;
  readonly against: StackName;
  readonly least: number;
}

/** One thing to measure. */
export interface Row {
  readonly label: string;
  /** What is counted. */
  readonly unit: "calls" | "messages" | "MiB";
  readonly order: Omit<Order, "windowMs">;
  readonly gates: readonly Gate[];
}

const UNARY_GATES: readonly Gate[] = [
  { stack: "bowline", against: "nice", least: 1.15 },
  { stack: "bowline", against: "raw", least: 0.95 },
  { stack: "middleware", against: "nice", least: 0.9 },
];

/** What `npm run bench` measures. */
export const rows: readonly Row[] = [
  // Few calls in flight say little.
  unary(1, []),
  unary(16, UNARY_GATES),
  unary(128, UNARY_GATES),
  stream("one stream of 100-byte messages", "messages", "100 bytes", 1, 1.8),
  stream("eight streams of 100-byte messages", "messages", "100 bytes", 8, 1.05),
  stream("one stream of 1 MiB messages", "MiB", "1 MiB", 1, 1.5),
];

function unary(concurrency: number, gates: readonly Gate[]): Row {
  return { label: `unary, ${concurrency} in flight`, unit: "calls", order: { concurrency }, gates };
}

function stream(label: string, unit: Row["unit"], size: MessageSize, concurrency: number, least: number): Row {
  return { label, unit, order: { size, concurrency }, gates: [{ stack: "bowline", against: "nice", least }] };
}
