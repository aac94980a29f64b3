// npm run bench: every stack alive at once, short windows in turn, the order reversed every round. Only ratios within
// a round are compared: absolute figures belong to the machine. Then the parts that have a folder of their own, unless
// --row asks for one row.
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

const { values } = parseArgs({
  options: {
    rounds: { type: "string", default: "11" },
    window: { type: "string", default: "500" },
    only: { type: "string", default: Object.keys(stacks).join(",") },
    row: { type: "string", default: "" },
    save: { type: "boolean", default: false },
  },
});
const windowMs = Number(values.window);

const running: RunningStack[] = [];
for (const name of values.only.split(",")) running.push(await startStack(name as StackName));

const measured: Measured[] = [];
for (const row of rows.filter(({ label }) => label.includes(values.row))) {
  const samples: Measured["samples"] = new Map(running.map(({ name }) => [name, []]));
  for (const stack of running) await stack.run({ ...row.order, windowMs: 2_000 });
  for (let round = 0; round < Number(values.rounds); round += 1) {
    for (const stack of round % 2 ? running.toReversed() : running) {
      samples.get(stack.name)?.push(await stack.run({ ...row.order, windowMs }));
    }
  }
  measured.push({ row, samples });
}

const idle: Idle = { streams: OPEN_STREAMS, perStream: new Map() };
for (const { name, stop } of running) {
  stop();
  // New processes: what the old ones have grown to would hide what a stream takes.
  const fresh = await startStack(name);
  await fresh.open(1);
  idle.perStream.set(name, await fresh.open(OPEN_STREAMS));
  fresh.stop();
}

const text = report(measured, idle);
console.log(text);
if (values.save) writeFileSync(new URL("../docs/bench.md", import.meta.url), text);
if (!values.row) {
  await benchBroadcast({ rounds: Number(values.rounds), deliveries: 50_000, save: values.save });
  await benchServing({ rounds: Number(values.rounds), windowMs: 300, save: values.save });
}
