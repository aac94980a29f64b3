// npm run bench:resilience: what limits, retries and hedges do to servers that have too much to do, over real sockets,
// beside simulations of the same. All that takes time is a timer, so that two cores suffice.
import { writeFileSync } from "node:fs";
import { cpus } from "node:os";
import { parseArgs } from "node:util";
import { quantile } from "../median.ts";
import { hedged, plain } from "./hedging.ts";
import { hedgingSection } from "./hedging-report.ts";
import { metastabilityRuns } from "./metastability.ts";
import { metastabilitySection } from "./metastability-report.ts";
import { overloadRuns } from "./overload.ts";
import { overloadSection } from "./overload-report.ts";
import { type Measured, type Run, runAll } from "./pair.ts";
import { type Section, toMarkdown } from "./section.ts";

/** How many runs are made at a time; the calls that are hedged, which take longest, beside the others. */
const AT_A_TIME = 5;

const { values } = parseArgs({
  options: {
    only: { type: "string", default: "overload,metastability,hedging" },
    save: { type: "boolean", default: false },
  },
});

/** A part of the report. */
interface Part {
  readonly section: Section;
  /** The most of a core that one of its servers and its client took. */
  readonly cores: number;
  /** How much later each of its calls was made than it came, in milliseconds. */
  readonly lateMs: readonly number[];
}

async function measure<T extends Run>(
  name: string,
  runs: readonly T[],
  toSection: (measured: readonly Measured<T>[]) => Section,
): Promise<Part[]> {
  if (!values.only.split(",").includes(name)) return [];
  const measured = await runAll(AT_A_TIME, runs);
  const cores = Math.max(...measured.map(({ outcome }) => outcome.cores));
  const lateMs = measured.flatMap(({ outcome }) => outcome.calls.map((call) => call.lateMs));
  return [{ section: toSection(measured), cores, lateMs }];
}

const begin = performance.now();
const hedging = measure("hedging", [plain, hedged], hedgingSection);
const parts = [
  ...(await measure("overload", overloadRuns(), overloadSection)),
  ...(await measure("metastability", metastabilityRuns, metastabilitySection)),
  ...(await hedging),
];
const sections = parts.map(({ section }) => section);

const minutes = (performance.now() - begin) / 60_000;
const lateMs = quantile(
  parts.flatMap((part) => part.lateMs),
  0.99,
);
const busiest = Math.max(...parts.map(({ cores }) => cores));
const head = `# Benchmark of resilience

Last output of \`npm run bench:resilience -- --save\`, which takes ${minutes.toFixed(1)} minutes. Servers and their client are processes
of their own, on loopback, made by \`createServer\` and \`createClient\`; a load comes at random instants, whether calls
are answered or not, and the same for all rows of a table. To work is to hold a worker for a time that is exponentially
distributed, by a timer: of a core, a server and its client took ${busiest.toFixed(2)} together where they had most to do. Times are
longer than in the reference by the factor that each table names, so that loads of up to a few hundred calls per second
stand for its thousands: two cores suffice. The reference is a simulation of the same, in which calls and rejections
cost nothing. One call in a hundred was made more than ${lateMs.toFixed(1)} ms late: the greater that is beside what work takes,
the more the figures are those of a machine that had other things to do. Node ${process.version}, ${cpus().length} × ${cpus()[0]?.model.trim()}.`;
const text = `${[head, ...sections.map(toMarkdown)].join("\n\n")}\n`;
console.log(text);
if (values.save) writeFileSync(new URL("../../docs/bench-resilience.md", import.meta.url), text);
if (sections.some(({ gates }) => gates.some(({ passes }) => !passes))) process.exitCode = 1;
