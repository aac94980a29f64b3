// npm run bench:policies: what retry, breaker and deadline cost a call that succeeds, beside cockatiel and opossum with
// the same settings, in one process, in turn; and what retries add to the load of a target that fails.
import { writeFileSync } from "node:fs";
import { cpus } from "node:os";
import { parseArgs } from "node:util";
import { type Amplification, type StrategyName, simulate } from "./amplification.ts";
import { amplificationSection } from "./amplification-report.ts";
import { measureCosts } from "./cost.ts";
import { costSection } from "./cost-report.ts";
import { keys } from "./keys.ts";
import { ours } from "./ours.ts";
import { cockatiel, opossum } from "./peers.ts";
import { sharing } from "./sharing.ts";

const { values } = parseArgs({
  options: {
    rounds: { type: "string", default: "31" },
    window: { type: "string", default: "8" },
    seed: { type: "string", default: "1" },
    save: { type: "boolean", default: false },
  },
});
const rounds = Number(values.rounds);
const windowMs = Number(values.window);

const own = ours();
const wraps = cockatiel();
const breakers = opossum();
const peers = [...Object.values(wraps), breakers.without, breakers.withTimeout];
const compared = { ...own, opossum: breakers.withTimeout, cockatiel: wraps.wrap };
const sections: string[] = [];
for (const inFlight of [1, 16]) {
  const subjects = [...Object.values(own), ...keys(), ...sharing(inFlight), ...peers];
  const costs = await measureCosts(subjects, { inFlight, rounds, windowMs });
  sections.push(costSection(`Cost per call, ${inFlight} in flight`, costs, compared, inFlight === 1));
}
breakers.stop();

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
function that waits for what is there already. One process, ${rounds} rounds of ${windowMs} ms windows, their order
reversed every round, equal settings. A ratio is the median over the rounds, within a round; in brackets the quartiles.
Node ${process.version}, ${cpus().length} × ${cpus()[0]?.model.trim()}. Nanoseconds hold for this machine only.

What is kept, copied or gathered is an order with one item. Calls share where the row says so; a server's costs are with
a context and metadata of the call's own.

Of the two gates on costs: no wrap that keeps a deadline and a window of time can do without a timer, two looks at the
clock and a turn of a promise by which it hears of the end. The first three have a row of their own; with the fourth
they are all but what the gates allow. There is no gate with 16 in flight, where the timers that opossum takes from Node
share a list, which with one call at a time is made and dropped for each: the row of the first three alone is then a
third of its cost. A unary call over grpc-js costs its client more than a hundred times as much as the policies; what
they do to calls per second is in [bench.md](bench.md).`;
const text = `${[head, ...sections].join("\n\n")}\n`;
console.log(text);
if (values.save) writeFileSync(new URL("../../docs/bench-policies.md", import.meta.url), text);
