import { writeFileSync } from "node:fs";
import { cpus } from "node:os";
import { type RunningVariant, type Sample, startVariant } from "./processes.ts";
import { section } from "./report.ts";
import { variants } from "./variants.ts";

/** How long the broadcasts are measured, and whether the figures are kept. */
export interface BroadcastBench {
  readonly rounds: number;
  /** Deliveries per variant and round. */
  readonly deliveries: number;
  readonly save: boolean;
}

/**
 * Prints what a message costs the server for each subscriber that gets it, with 1, 100 and 1,000 of them: encoded once,
 * encoded for each, and without a broadcast. All variants alive at once, in turn.
 */
export async function benchBroadcast({ rounds, deliveries, save }: BroadcastBench): Promise<void> {
  const sections: string[] = [];
  for (const subscribers of [1, 100, 1_000]) {
    const running: RunningVariant[] = [];
    for (const name of Object.keys(variants)) running.push(await startVariant(name, subscribers));
    for (const variant of running) await variant.run(2 * deliveries);
    const rows = new Map(running.map(({ name, title }) => [name, { title, samples: [] as Sample[] }]));
    for (let round = 0; round < rounds; round += 1) {
      for (const variant of round % 2 ? running.toReversed() : running)
        rows.get(variant.name)?.samples.push(await variant.run(deliveries));
    }
    for (const variant of running) variant.stop();
    sections.push(section(subscribers, rows));
  }

  const head = `# Benchmark of broadcasts

Last output of \`npm run bench -- --save\`. One source, an event of about 220 bytes, 16 of them in each turn of
the event loop; the publisher waits while a subscriber has more than 64 unread, which without a broadcast it cannot
know. Server and subscribers are processes of their own, on loopback, 100 streams on a connection; all variants alive at
once and in turn, ${rounds} rounds, their order reversed every round. A ratio is the median over the rounds,
within a round, to the handler that has each message encoded for each subscriber; in brackets the least and the greatest.
Node ${process.version}, ${cpus().length} × ${cpus()[0]?.model.trim()}. Absolute figures hold for this machine only.`;
  const text = `${[head, ...sections].join("\n\n")}\n`;
  console.log(text);
  if (save) writeFileSync(new URL("../../docs/bench-broadcast.md", import.meta.url), text);
}
