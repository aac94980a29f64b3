// npm run bench:policies: what retry, breaker and deadline cost a call that succeeds, beside cockatiel and opossum with
// the same settings, in one process, in turn; and what retries add to the load of a target that fails.
import { writeFileSync } from "node:fs";
import { cpus } from "node:os";
import { parseArgs } from "node:util";
import { ask, startChild } from "../child.ts";
import { type Amplification, type StrategyName, simulate } from "./amplification.ts";
import { amplificationSection } from "./amplification-report.ts";
import { costSection } from "./cost-report.ts";
import { type CostOrder, type RowCosts, together } from "./row-costs.ts";
import { rows } from "./rows.ts";

const { values } = parseArgs({
  options: {
    rounds: { type: "string", default: "31" },
    window: { type: "string", default: "8" },
    seed: { type: "string", default: "1" },
    save: { type: "boolean", default: false },
  },
});
/** How many processes a gated row is measured in: how code comes out of the compiler differs from one to the next. */
const PROCESSES = 15;

const rounds = Number(values.rounds);
const windowMs = Number(values.window);

const sections: string[] = [];
for (const inFlight of [1, 16]) {
  const costs: RowCosts[] = [];
  const { all, gated, stop } = rows(inFlight);
  stop();
  for (const [row, subject] of all.entries()) {
    costs.push(await measureRow({ row, inFlight, rounds, windowMs }, gated.has(subject) ? PROCESSES : 1));
  }
  sections.push(costSection(`Cost per call, ${inFlight} in flight`, costs, inFlight === 1));
}

const results = new Map<number, Map<StrategyName, Amplification>>();
for (const failureRatio of [0.1, 0.5, 1]) {
  const row = new Map<StrategyName, Amplification>();
  for (const name of ["none", "unlimited", "retry", "retryAndBreaker"] as const) {
    row.set(name, await simulate(name, failureRatio, Number(values.seed)));
  }
  results.set(failureRatio, row);
}
sections.push(amplificationSection(results));

const head = `# Benchmark of the policies

Last output of \`npm run bench:policies -- --save\`. All costs are those of a call that succeeds at once: an async
function that waits for what is there already. Each row has a process of its own, in which it is measured beside the
work alone and both peers, so that nobody runs on code that was compiled for another: ${rounds} rounds of ${windowMs} ms
windows, their order reversed every round, equal settings. A ratio is the median over the rounds, within a round; in
brackets the quartiles. Rows with a gate are measured in ${PROCESSES} processes. Node ${process.version}, ${cpus().length} × ${cpus()[0]?.model.trim()}. Nanoseconds hold for
this machine only.

What is kept, copied or gathered is an order with one item. Calls share where the row says so; a server's costs are with
a context and metadata of the call's own.

There is no gate with 16 in flight, where the timers that opossum takes from Node share a list, which with one call at a
time is made and dropped for each. A unary call over grpc-js costs its client more than a hundred times as much as the
policies; what they do to calls per second is in [bench.md](bench.md).`;
const text = `${[head, ...sections].join("\n\n")}\n`;
console.log(text);
/** Measures a row in processes of its own, one after the other. */
async function measureRow(order: CostOrder, processes: number): Promise<RowCosts> {
  const { child } = await startChild(new URL("./cost-worker.ts", import.meta.url));
  const costs = await ask<RowCosts>(child, order);
  child.disconnect();
  return processes > 1 ? together(costs, await measureRow(order, processes - 1)) : costs;
}

if (values.save) writeFileSync(new URL("../../docs/bench-policies.md", import.meta.url), text);
