import { fork } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { RpcError } from "bowline";
import { type FaultProxy, faultProxy } from "bowline/testing";
import { expect, onTestFinished, test } from "vitest";
import { OrderStore } from "../../examples/shop/orders/store.ts";
import type { OrderEvent } from "../../gen/shop/orders/v1/orders.ts";
import { ENDED, identity, type Outcome, play } from "./chaos/play.ts";
import { type ChaosScript, chaosScript } from "./chaos/script.ts";

/** What failed is played again alone with its seed in BOWLINE_CHAOS_SEED and BOWLINE_CHAOS_SCRIPTS=1. */
const SCRIPTS = Number(process.env.BOWLINE_CHAOS_SCRIPTS ?? 1_000);
const FIRST_SEED = Number(process.env.BOWLINE_CHAOS_SEED ?? 1);
const AT_ONCE = 20;

/**
 * What each hundred scripts must have met at least, well below what they do: a wire that holds would show nothing. One
 * script that is played again need not have met anything.
 */
const FLOORS: Readonly<Record<string, number>> = {
  "scripts with a fault": 80,
  "times a stream was resumed": 100,
  "stalls that were noticed": 3,
  ...{ "connection cut": 10, "connection half-open": 1, "connection silent": 1, "connection corrupt": 1 },
  ...{ "connection delay": 1, "connection throttle": 1 },
  ...{ "call reset": 10, "call cut": 1, "call silent": 1, "call goaway": 1, "call status": 1 },
};

/** What scripts met in all, by the names of the floors. */
function metBy(outcomes: readonly Outcome[]): Record<string, number> {
  const faults = Map.groupBy(
    outcomes.flatMap((outcome) => outcome.faults),
    (fault) => fault,
  );
  return {
    "scripts with a fault": outcomes.filter((outcome) => outcome.faults.length > 0).length,
    "times a stream was resumed": outcomes.reduce((sum, { resumed }) => sum + resumed, 0),
    "stalls that were noticed": outcomes.reduce((sum, { stalled }) => sum + stalled, 0),
    ...Object.fromEntries([...faults].map(([fault, all]) => [fault, all.length])),
  };
}

/** Whether what came is what the database has after the start, without gap, double, disorder or a word changed. */
function isExact({ events, start }: Outcome, database: readonly string[]): boolean {
  // Revisions count from 1 without a gap, so that a revision is the place of what comes after it.
  return events.every((event, n) => event === database[Number(start) + n]);
}

function show({ script, events, error }: Outcome): string {
  const { seed, way, rules } = script;
  const why = error instanceof Error ? error.message : String(error ?? "read as far as it was to be");
  const failures = error instanceof RpcError ? error.failures.map(({ reason }) => reason).join(", ") : "";
  return `seed ${seed} (${way}), ${events.length} of ${script.events}: ${why} [${failures}] ${JSON.stringify(rules)}`;
}

test(`${SCRIPTS} scripts of faults: no stream loses or doubles an event`, { timeout: 300_000 }, async () => {
  const folder = mkdtempSync(join(tmpdir(), "bowline-chaos-"));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  const server = fork(new URL("./chaos/server.ts", import.meta.url), [folder], { execArgv: process.execArgv });
  onTestFinished(() => void server.kill("SIGKILL"));
  const [ports] = await once(server, "message");
  const store = new OrderStore(folder);
  onTestFinished(() => store.close());

  const scripts = Array.from({ length: SCRIPTS }, (_, n) => chaosScript(FIRST_SEED + n));
  const queues = [...Map.groupBy(scripts, ({ way }) => way)].flatMap(([way, queue]) => {
    const share = Math.min(queue.length, Math.ceil((AT_ONCE * queue.length) / SCRIPTS));
    return Array.from({ length: share }, () => ({ way, queue }));
  });
  // All proxies first: a machine that is busy with their start is a fault that no script has.
  const workers = await Promise.all(
    queues.map(async ({ way, queue }) => {
      const proxy = await faultProxy(`127.0.0.1:${way === "tls" ? ports.tls : ports.plain}`).script();
      onTestFinished(() => proxy.close());
      return { proxy, queue };
    }),
  );
  const outcomes: Outcome[] = [];
  const work = async (proxy: FaultProxy, queue: ChaosScript[]) => {
    for (let script = queue.shift(); script; script = queue.shift()) {
      outcomes.push(await play(proxy, script, store.lastRevision()));
    }
  };
  await Promise.all(workers.map(({ proxy, queue }) => work(proxy, queue)));

  const database = readAll(store);
  expect(database.at(-1)?.revision).toBe(BigInt(database.length));
  const written = database.map(identity);
  expect(outcomes.filter((outcome) => !isExact(outcome, written)).map(show)).toEqual([]);
  expect(outcomes.filter(({ error }) => error === ENDED).map(show)).toEqual([]);
  const recoverable = outcomes.filter(({ script }) => script.recoverable);
  const failed = recoverable.filter(({ error }) => error !== undefined);
  console.log(
    `${outcomes.length} scripts, ${recoverable.length} of them recoverable, ${failed.length} of these failed`,
  );
  console.log(failed.map(show).join("\n") || "none");
  expect(outcomes).toHaveLength(SCRIPTS);
  expect(failed.length).toBeLessThanOrEqual(0.05 * recoverable.length);
  const met = metBy(outcomes);
  console.log(met);
  const hundreds = Math.floor(SCRIPTS / 100);
  expect(Object.entries(FLOORS).filter(([what, floor]) => (met[what] ?? 0) < floor * hundreds)).toEqual([]);
});

function readAll(store: OrderStore): OrderEvent[] {
  const events: OrderEvent[] = [];
  for (let last = 0n; ; last = events.at(-1)?.revision ?? 0n) {
    const page = store.eventsAfter(last, "");
    if (page.length === 0) return events;
    events.push(...page);
  }
}
