import { fork } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { clientMiddleware, closeClient, createClient } from "bowline";
import { type FaultProxy, faultProxy } from "bowline/testing";
import { createChannel, createClientFactory } from "nice-grpc";
import { expect, onTestFinished, test } from "vitest";
import { OrderStore } from "../../examples/shop/orders/store.ts";
import type { OrderServiceClient } from "../../gen/shop/orders/v1/orders.contract.ts";
import { OrderServiceDefinition } from "../../gen/shop/orders/v1/orders.ts";
import { HastyOrders } from "./chaos/contract.ts";
import { type ChaosScript, chaosScript } from "./chaos/script.ts";

const SCRIPTS = Number(process.env.BOWLINE_CHAOS_SCRIPTS ?? 1_000);
const FIRST_SEED = Number(process.env.BOWLINE_CHAOS_SEED ?? 1);
const AT_ONCE = 20;
/** A dead connection is for keepalive to find: as often as heartbeats would be missed. */
const KEEPALIVE_MS = 300;
/** When a script that has not come to its end counts as failed. */
const GIVE_UP_MS = 20_000;

const ca = readFileSync(new URL("../fixtures/tls/ca.pem", import.meta.url));

/** What no script may come to: it is a gap at the end. */
const ENDED = new Error("the stream ended by itself");

/** Which way a script's client is made. */
type Way = "plain" | "tls" | "nice";

interface Outcome {
  readonly way: Way;
  readonly script: ChaosScript;
  readonly start: bigint;
  readonly revisions: readonly bigint[];
  /** What the stream ended with, unless it was read as far as it was to be. */
  readonly error: unknown;
}

/** A client, and what closes it. */
function connect(target: string, way: Way): { readonly orders: OrderServiceClient; close(): void } {
  if (way === "nice") {
    const channel = createChannel(target, undefined, {
      ...{ "grpc.keepalive_time_ms": KEEPALIVE_MS, "grpc.keepalive_timeout_ms": KEEPALIVE_MS },
      ...{ "grpc.initial_reconnect_backoff_ms": 10, "grpc.max_reconnect_backoff_ms": 100 },
    });
    const factory = createClientFactory().use(clientMiddleware(HastyOrders));
    const orders = factory.create(OrderServiceDefinition, channel) as unknown as OrderServiceClient;
    return { orders, close: () => channel.close() };
  }
  const tls = way === "tls" ? { tls: { ca } } : {};
  const reconnect = { initialReconnectBackoffMs: 10, maxReconnectBackoffMs: 100, connectTimeoutMs: 300 };
  const keepalive = { keepaliveTimeMs: KEEPALIVE_MS, keepaliveTimeoutMs: KEEPALIVE_MS };
  const orders = createClient(HastyOrders, target, { ...tls, ...reconnect, ...keepalive });
  return { orders, close: () => closeClient(orders) };
}

async function play(proxy: FaultProxy, way: Way, script: ChaosScript, newest: bigint): Promise<Outcome> {
  await proxy.script(...script.rules);
  const { orders, close } = connect(proxy.target, way);
  const start = newest - BigInt(script.behind);
  const revisions: bigint[] = [];
  const outcome = { way, script, start, revisions };
  try {
    const signal = AbortSignal.timeout(GIVE_UP_MS);
    for await (const { revision } of orders.watchOrders({ afterRevision: start }, { signal })) {
      revisions.push(revision);
      if (revisions.length === script.events) return { ...outcome, error: undefined };
    }
    return { ...outcome, error: ENDED };
  } catch (error) {
    return { ...outcome, error };
  } finally {
    close();
  }
}

/** Whether what came is what the database has after the start, without gap, double or disorder. */
function isExact({ revisions, start }: Outcome, database: readonly bigint[]): boolean {
  const from = database.findIndex((revision) => revision > start);
  return revisions.every((revision, at) => revision === database[from + at]);
}

function show({ way, script, revisions, error }: Outcome): string {
  const why = error instanceof Error ? error.message : String(error);
  return `seed ${script.seed} (${way}), ${revisions.length} of ${script.events}: ${why} ${JSON.stringify(script.rules)}`;
}

test(`${SCRIPTS} scripts of faults: no stream loses or doubles an event`, { timeout: 300_000 }, async () => {
  const folder = mkdtempSync(join(tmpdir(), "bowline-chaos-"));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  const server = fork(new URL("./chaos/server.ts", import.meta.url), [folder], { execArgv: process.execArgv });
  onTestFinished(() => void server.kill("SIGKILL"));
  const [ports] = await once(server, "message");
  const store = new OrderStore(folder);
  onTestFinished(() => store.close());

  const seeds = Array.from({ length: SCRIPTS }, (_, n) => FIRST_SEED + n);
  const outcomes: Outcome[] = [];
  const worker = async (way: Way) => {
    await using proxy = await faultProxy(`127.0.0.1:${way === "tls" ? ports.tls : ports.plain}`).script();
    for (let seed = seeds.shift(); seed !== undefined; seed = seeds.shift()) {
      outcomes.push(await play(proxy, way, chaosScript(seed, way === "tls"), store.lastRevision()));
    }
  };
  const ways: readonly Way[] = ["plain", "tls", "plain", "nice"];
  await Promise.all(Array.from({ length: AT_ONCE }, (_, n) => worker(ways[n % ways.length] as Way)));

  const database = readAll(store);
  expect(database.at(-1)).toBe(BigInt(database.length));
  expect(outcomes.filter((outcome) => !isExact(outcome, database)).map(show)).toEqual([]);
  expect(outcomes.filter(({ error }) => error === ENDED).map(show)).toEqual([]);
  const recoverable = outcomes.filter(({ script }) => script.recoverable);
  const failed = recoverable.filter(({ error }) => error !== undefined);
  console.log(
    `${outcomes.length} scripts, ${recoverable.length} of them recoverable, ${failed.length} of these failed`,
  );
  console.log(failed.map(show).join("\n") || "none");
  expect(outcomes).toHaveLength(SCRIPTS);
  expect(failed.length / recoverable.length).toBeLessThan(0.05);
});

function readAll(store: OrderStore): bigint[] {
  const revisions: bigint[] = [];
  for (let last = 0n; ; last = revisions.at(-1) ?? 0n) {
    const page = store.eventsAfter(last, "");
    if (page.length === 0) return revisions;
    revisions.push(...page.map(({ revision }) => revision));
  }
}
