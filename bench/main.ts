// npm run bench: every stack alive at once, short windows in turn, the order reversed every round. Only ratios within
// a round are compared: absolute figures belong to the machine. All of it several times in new processes, because two
// processes that do the same differ by a tenth for as long as they live. Then the parts that have a folder of their own,
// unless --row asks for one row.
import { writeFileSync } from "node:fs";
import { parseArgs } from "node:util";
import { benchBroadcast } from "./broadcast/bench-broadcast.ts";
import { type RunningStack, startStack } from "./processes.ts";
import { type Idle, type Measured, report } from "./report.ts";
import { rows } from "./rows.ts";
import { benchServing } from "./serving/bench-serving.ts";
import { type StackName, stacks } from "./stacks/index.ts";

/** Streams that are open while the server's memory is taken. */
const OPEN_STREAMS = 2_000;
/** What all processes do first: until then V8 runs most of a call uncompiled. */
const WARM_UP = { concurrency: 16, windowMs: 5_000 };

const { values } = parseArgs({
  options: {
    processes: { type: "string", default: "4" },
    rounds: { type: "string", default: "5" },
    window: { type: "string", default: "500" },
    only: { type: "string", default: Object.keys(stacks).join(",") },
    row: { type: "string", default: "" },
    save: { type: "boolean", default: false },
  },
});
const windowMs = Number(values.window);

const names = values.only.split(",") as StackName[];
const generations = Number(values.processes);
const rounds = Number(values.rounds);

const measured: readonly Measured[] = rows
  .filter(({ label }) => label.includes(values.row))
  .map((row) => ({ row, samples: new Map(names.map((name) => [name, []])) }));
for (let generation = 0; generation < generations; generation += 1) {
  const running: RunningStack[] = [];
  for (const name of names) running.push(await startStack(name));
  for (const stack of running) await stack.run(WARM_UP);
  for (const one of measured) await measure(one, running);
  for (const { stop } of running) stop();
}

const idle: Idle = { streams: OPEN_STREAMS, perStream: new Map() };
for (const name of names) {
  // New processes: what others have grown to would hide what a stream takes.
  const fresh = await startStack(name);
  await fresh.open(1);
  idle.perStream.set(name, await fresh.open(OPEN_STREAMS));
  fresh.stop();
}

const text = report(measured, idle, { generations, rounds });
console.log(text);
if (values.save) writeFileSync(new URL("../docs/bench.md", import.meta.url), text);
if (!values.row) {
  const all = 2 * rounds + 1;
  await benchBroadcast({ rounds: all, deliveries: 50_000, save: values.save });
  await benchServing({ rounds: all, windowMs: 300, save: values.save });
}

/** The rounds of a row. */
async function measure({ row, samples }: Measured, running: readonly RunningStack[]): Promise<void> {
  for (const stack of running) await stack.run({ ...row.order, windowMs: 1_000 });
  for (let round = 0; round < rounds; round += 1) {
    for (const stack of round % 2 ? running.toReversed() : running) {
      samples.get(stack.name)?.push(await stack.run({ ...row.order, windowMs }));
    }
  }
}
