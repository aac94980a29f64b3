import { cpus } from "node:os";
import { median, quantile } from "./median.ts";
import type { Memory } from "./memory.ts";
import type { FullSample } from "./processes.ts";
import type { Row } from "./rows.ts";
import type { StackName } from "./stacks/index.ts";

type Samples = Map<StackName, FullSample[]>;

/** What was measured of one row: each stack's samples in the order of the rounds. */
export interface Measured {
  readonly row: Row;
  readonly samples: Samples;
}

/** What each stack's server holds for a stream that is open and idle. */
export interface Idle {
  readonly streams: number;
  readonly perStream: Map<StackName, Memory>;
}

const TITLES: Record<StackName, string> = {
  nice: "bare nice-grpc",
  raw: "raw grpc-js",
  bowline: "`createClient` with `createServer`",
  middleware: "`clientMiddleware` with `serverMiddleware`",
};

/** How often everything was measured. */
export interface Repeated {
  /** How often all processes were started anew. */
  readonly generations: number;
  /** How often each stack was measured in one of its processes. */
  readonly rounds: number;
}

/** The whole report as Markdown. */
export function report(measured: readonly Measured[], idle: Idle, { generations, rounds }: Repeated): string {
  const sections = measured.map((one) => [`## ${one.row.label}`, table(one), gates(one)].join("\n\n"));
  const head = `# Benchmark

Last output of \`npm run bench -- --save\`. Client and server are processes of their own, on loopback, over one plaintext
connection; all stacks are alive at once and measured in turn, ${rounds} rounds, their order reversed every round, and all of
it ${generations} times in new processes. A ratio is the median over the rounds, within a round; in brackets the quartiles.
Calls and streams have all that the shop's contract says of them: deadline, retries and breaker, and of WatchOrders, whose
streams these are, positions to resume at, heartbeats and a limit for stalls. Node ${process.version}, ${cpus().length} × ${cpus()[0]?.model.trim()}. Absolute figures hold for this machine only.`;
  return `${[head, ...sections, memory(idle)].join("\n\n")}\n`;
}

function table({ row, samples }: Measured): string {
  const lines = [...samples].map(([name, ofStack]) => {
    const perSecond = Math.round(median(ofStack.map((sample) => sample.perSecond)));
    const cpu = (["clientMicros", "serverMicros"] as const)
      .map((end) => median(ofStack.map((sample) => sample[end])).toFixed(1))
      .join(" / ");
    const [nice, raw] = [ratio(samples, name, "nice"), ratio(samples, name, "raw")];
    return `| ${TITLES[name]} | ${perSecond.toLocaleString("en")} | ${cpu} | ${nice} | ${raw} |`;
  });
  return [
    `| stack | ${row.unit} per second | CPU µs each, client / server | against bare nice-grpc | against raw grpc-js |`,
    "|---|---|---|---|---|",
    ...lines,
  ].join("\n");
}

function gates({ row, samples }: Measured): string {
  if (row.gates.length === 0) return "No gate.";
  return row.gates
    .flatMap(({ stack, against, least }) => {
      const ratios = ratiosOf(samples, stack, against);
      if (ratios.length === 0) return [];
      const verdict = median(ratios) >= least ? "pass" : "FAIL";
      return [`- ${verdict}: ${TITLES[stack]} ${median(ratios).toFixed(2)}× ${TITLES[against]}, at least ${least}`];
    })
    .join("\n");
}

function memory({ streams, perStream }: Idle): string {
  const kib = (bytes: number) => (bytes / 1024).toFixed(1);
  const lines = [...perStream].map(([name, { heap, resident }]) => {
    return `| ${TITLES[name]} | ${kib(heap)} | ${kib(resident)} |`;
  });
  const title = `## server memory per idle stream, ${streams.toLocaleString("en")} open on one connection`;
  const columns = ["| stack | heap and what it refers to, KiB | resident, KiB |", "|---|---|---|"];
  return [title, [...columns, ...lines].join("\n")].join("\n\n");
}

function ratio(samples: Samples, name: StackName, against: StackName): string {
  const ratios = ratiosOf(samples, name, against);
  if (ratios.length === 0) return "";
  return `${median(ratios).toFixed(2)} (${quantile(ratios, 0.25).toFixed(2)}–${quantile(ratios, 0.75).toFixed(2)})`;
}

function ratiosOf(samples: Samples, name: StackName, against: StackName): number[] {
  const base = samples.get(against) ?? [];
  return (samples.get(name) ?? []).flatMap((sample, round) => {
    const other = base[round];
    return other ? [sample.perSecond / other.perSecond] : [];
  });
}
