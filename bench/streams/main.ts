// npm run bench:streams: what an operator costs a message, beside an async generator that does the same and, where
// there is one, Readable's helper; in one process, in turn.
import { writeFileSync } from "node:fs";
import { cpus } from "node:os";
import { parseArgs } from "node:util";
import { measureCosts } from "../policies/cost.ts";
import { promisesPerCall } from "./promises.ts";
import { costTable } from "./report.ts";
import { bare, compared } from "./subjects.ts";

const { values } = parseArgs({
  options: {
    rounds: { type: "string", default: "31" },
    window: { type: "string", default: "8" },
    save: { type: "boolean", default: false },
  },
});
const rounds = Number(values.rounds);
const windowMs = Number(values.window);

const rows = compared();
const alone = bare();
const subjects = [alone, ...rows.flatMap(({ ours, generator, readable }) => [ours, generator, readable])].filter(
  (subject) => subject !== undefined,
);
const costs = await measureCosts(subjects, { inFlight: 1, rounds, windowMs });
const promises = new Map<(typeof subjects)[number], number>();
for (const subject of subjects) promises.set(subject, await promisesPerCall(subject));

const head = `# Benchmark of the operators

Last output of \`npm run bench:streams -- --save\`. Nanoseconds and promises per message, those of the source among them: an
iterator that has each message at once, read by \`await stream.next()\`. One process, ${rounds} rounds of ${windowMs} ms windows, their
order reversed every round. A ratio is the median over the rounds, within a round; in brackets the quartiles. Promises
are those that \`node:async_hooks\` sees; while it looks, each \`await\` makes one more. Node ${process.version}, ${cpus().length} × ${cpus()[0]?.model.trim()}.
Nanoseconds hold for this machine only.

The generators do less: none can be left while it waits, that of \`batch\` has no time limit, that of \`merge\` is not fair.
What reads ahead or hands over by time pays for that where its source has all there is at once, as here.`;
const text = `${head}\n\n${costTable(rows, alone, costs, promises)}\n`;
console.log(text);
if (values.save) writeFileSync(new URL("../../docs/bench-streams.md", import.meta.url), text);
// Streams that nobody has left, and their timers, would keep the process.
process.exit();
