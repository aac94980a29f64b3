import { cpus } from "node:os";
import { median } from "./median.ts";
import type { FullSample } from "./processes.ts";
import type { StackName } from "./stacks/index.ts";

/** Samples by what was measured, then by stack, in the order of the rounds. */
export type Rows = Map<string, Map<StackName, FullSample[]>>;

interface Gate {
  readonly stack: StackName;
  readonly against: StackName;
  readonly least: number;
}

const TITLES: Record<StackName, string> = {
  nice: "bare nice-grpc",
  raw: "raw grpc-js",
  bowline: "`createClient` with `createServer`",
  middleware: "`clientMiddleware` with `serverMiddleware`",
};

const GATES: readonly Gate[] = [
  { stack: "bowline", against: "nice", least: 1.15 },
  { stack: "bowline", against: "raw", least: 0.95 },
  { stack: "middleware", against: "nice", least: 0.9 },
];

/** What gates hold for: few calls in flight say little, and streams have gates of their own later. */
const GATED = /(16|128) in flight/;

/** The whole report as Markdown. */
export function report(rows: Rows): string {
  const sections = [...rows].map(([label, stacks]) =>
    [`## ${label}`, table(stacks), gates(label, stacks)].join("\n\n"),
  );
  const rounds = Math.max(...[...rows.values()].map((stacks) => stacks.get("nice")?.length ?? 0));
  const head = `# Benchmark

Last output of \`npm run bench -- --save\`. Client and server are processes of their own, on loopback, over one plaintext
connection; all stacks are alive at once and measured in turn, ${rounds} rounds, their order reversed every round. A
ratio is the median over the rounds, within a round; in brackets the least and the greatest. Node ${process.version},
${cpus().length} × ${cpus()[0]?.model.trim()}. Absolute figures hold for this machine only.`;
  return `${[head, ...sections].join("\n\n")}\n`;
}

function table(stacks: Map<StackName, FullSample[]>): string {
  const lines = [...stacks].map(([name, samples]) => {
    const perSecond = Math.round(median(samples.map((sample) => sample.perSecond)));
    const cpu = (["clientMicros", "serverMicros"] as const)
      .map((end) => median(samples.map((sample) => sample[end])).toFixed(1))
      .join(" / ");
    return `| ${TITLES[name]} | ${perSecond.toLocaleString("en")} | ${cpu} | ${ratio(stacks, name, "nice")} | ${ratio(stacks, name, "raw")} |`;
  });
  return [
    "| stack | per second | CPU µs each, client / server | against bare nice-grpc | against raw grpc-js |",
    "|---|---|---|---|---|",
    ...lines,
  ].join("\n");
}

function gates(label: string, stacks: Map<StackName, FullSample[]>): string {
  if (!GATED.test(label)) return "No gate.";
  return GATES.flatMap(({ stack, against, least }) => {
    const ratios = ratiosOf(stacks, stack, against);
    if (ratios.length === 0) return [];
    const verdict = median(ratios) >= least ? "pass" : "FAIL";
    return [`- ${verdict}: ${TITLES[stack]} ${median(ratios).toFixed(2)}× ${TITLES[against]}, at least ${least}`];
  }).join("\n");
}

function ratio(stacks: Map<StackName, FullSample[]>, name: StackName, against: StackName): string {
  const ratios = ratiosOf(stacks, name, against);
  if (ratios.length === 0) return "";
  return `${median(ratios).toFixed(2)} (${Math.min(...ratios).toFixed(2)}–${Math.max(...ratios).toFixed(2)})`;
}

function ratiosOf(stacks: Map<StackName, FullSample[]>, name: StackName, against: StackName): number[] {
  const base = stacks.get(against) ?? [];
  return (stacks.get(name) ?? []).flatMap((sample, round) => {
    const other = base[round];
    return other ? [sample.perSecond / other.perSecond] : [];
  });
}
