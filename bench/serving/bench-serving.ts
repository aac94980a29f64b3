import { writeFileSync } from "node:fs";
import { cpus } from "node:os";
import { hasRedis, startRedis } from "../../test/support/database-servers.ts";
import { IN_FLIGHT, type RunningVariant, type ServedSample, startVariant } from "./processes.ts";
import { rejections } from "./rejections.ts";
import { costs, rejectionCosts, type Samples } from "./report.ts";
import { BY_REDIS, variants } from "./variants.ts";

/** How long the server's mechanisms are measured, and whether the figures are kept. */
export interface ServingBench {
  readonly rounds: number;
  readonly windowMs: number;
  readonly save: boolean;
}

/** How long each variant runs before it is measured, in milliseconds: until its code is compiled. */
const WARM_UP_MS = 4_000;

/**
 * Prints what authentication, limits, validation and idempotency keys cost a call on the server, and what it costs to
 * reject one.
 */
export async function benchServing({ rounds, windowMs, save }: ServingBench): Promise<void> {
  const costing = await withRedis((redisPort) => {
    const names = Object.keys(variants).filter((name) => redisPort > 0 || name !== BY_REDIS);
    return inTurn(names, { rounds, windowMs, redisPort });
  });
  const rejecting = await inTurn(Object.keys(rejections), { rounds, windowMs, redisPort: 0 });
  const sections = [costs(costing), rejectionCosts(rejecting)];

  const head = `# Benchmark of what a server does besides its handlers

Last output of \`npm run bench -- --save\`. One unary method of \`createServer\`, its request of five items and its answer
of about 200 bytes, its handler without work; ${IN_FLIGHT} calls in flight over one connection, plaintext unless said
otherwise. Each server and each client is a process of its own, on loopback; all variants of a table alive at once and in
turn, ${rounds} rounds of ${windowMs} ms windows, their order reversed every round. CPU time is that of all threads of the
server. Ratios and differences are medians over the rounds, within a round; in brackets the quartiles. Node
${process.version}, ${cpus().length} × ${cpus()[0]?.model.trim()}. Absolute figures hold for this machine only.`;
  const text = `${[head, ...sections].join("\n\n")}\n`;
  console.log(text);
  if (save) writeFileSync(new URL("../../docs/bench-serving.md", import.meta.url), text);
}

/** Has a Redis while something is done; port 0 where it is not installed. */
async function withRedis<T>(work: (port: number) => Promise<T>): Promise<T> {
  const redis = hasRedis() ? await startRedis() : undefined;
  try {
    return await work(redis?.port ?? 0);
  } finally {
    await redis?.stop();
  }
}

/** How variants are measured. */
interface Turns {
  readonly rounds: number;
  readonly windowMs: number;
  /** 0 if there is no Redis. */
  readonly redisPort: number;
}

async function inTurn(names: readonly string[], { rounds, windowMs, redisPort }: Turns): Promise<Samples> {
  const running: RunningVariant[] = [];
  for (const name of names) running.push(await startVariant(name, redisPort));
  for (const variant of running) await variant.run(WARM_UP_MS);
  const samples = new Map(names.map((name): [string, ServedSample[]] => [name, []]));
  for (let round = 0; round < rounds; round += 1) {
    for (const variant of round % 2 ? running.toReversed() : running) {
      samples.get(variant.name)?.push(await variant.run(windowMs));
    }
  }
  for (const variant of running) variant.stop();
  return samples;
}
