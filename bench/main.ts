// npm run bench: every stack alive at once, short windows in turn, the order reversed every round. Only ratios within
// a round are compared: absolute figures belong to the machine.
import { writeFileSync } from "node:fs";
import { parseArgs } from "node:util";
import type { Order } from "./measure.ts";
import { type RunningStack, startStack } from "./processes.ts";
import { type Rows, report } from "./report.ts";
import { type StackName, stacks } from "./stacks/index.ts";

const { values } = parseArgs({
  options: {
    rounds: { type: "string", default: "11" },
    window: { type: "string", default: "500" },
    only: { type: "string", default: Object.keys(stacks).join(",") },
    save: { type: "boolean", default: false },
  },
});
const windowMs = Number(values.window);
const orders: Record<string, Order> = {
  "unary, 1 in flight": { mode: "unary", concurrency: 1, windowMs },
  "unary, 16 in flight": { mode: "unary", concurrency: 16, windowMs },
  "unary, 128 in flight": { mode: "unary", concurrency: 128, windowMs },
  "one stream of 10,000 messages": { mode: "stream", concurrency: 1, windowMs },
};

const running: RunningStack[] = [];
for (const name of values.only.split(",")) running.push(await startStack(name as StackName));

const rows: Rows = new Map();
for (const [label, order] of Object.entries(orders)) {
  for (const stack of running) await stack.run({ ...order, windowMs: 2_000 });
  for (let round = 0; round < Number(values.rounds); round += 1) {
    for (const stack of round % 2 ? running.toReversed() : running) {
      const samples = rows.get(label)?.get(stack.name) ?? [];
      samples.push(await stack.run(order));
      rows.set(label, (rows.get(label) ?? new Map()).set(stack.name, samples));
    }
  }
}
for (const stack of running) stack.stop();

const text = report(rows);
console.log(text);
if (values.save) writeFileSync(new URL("../docs/bench.md", import.meta.url), text);
