import { isDeepStrictEqual } from "node:util";
import { createClient, type Observer } from "bowline";
import { OrderService } from "../../../gen/shop/orders/v1/orders.contract.ts";
import type { Exit, ServiceProcess } from "../processes.ts";
import { watchHealth } from "./health-log.ts";
import { type Counts, NOTHING } from "./instruments.ts";
import { collect, until } from "./load.ts";
import { newCustomer } from "./new-customer.ts";
import { OrderLoad } from "./order-load.ts";
import { type Check, type Row, same, within } from "./row.ts";
import { Tally } from "./tally.ts";
import { Upload } from "./upload.ts";
import { Watcher } from "./watcher.ts";

const WATCHERS = 4;
const UPLOADS = 4;
/** With one answer: what a drain lets finish. */
const METHODS = ["GetOrder", "CreateOrder", "ImportOrders"] as const;
/** How many calls must succeed before the drain, and again after it. */
const ENOUGH = 300;

/** What the row saw, from both sides. */
export interface Seen {
  /** GetOrder and CreateOrder without a pause before, during and after the drain; ImportOrders all the while. */
  readonly calls: number;
  readonly succeeded: number;
  /** What the drained replica had counted in the end, and the other one. */
  readonly first: Counts;
  readonly second: Counts;
  readonly exit: Exit;
  /** What a health watcher was told, in order. */
  readonly health: readonly string[];
  /** Streams of orders that the drain ended, and their client opened again. */
  readonly drained: number;
  /** Ids of the orders that clients were told of. */
  readonly created: readonly string[];
  /** Ids of the orders that the other replica has in the end, by revision. */
  readonly kept: readonly string[];
  /** Orders that the imports were told they had placed, and those that the other replica has. */
  readonly imported: number;
  readonly importsKept: number;
  /** Watchers that in the end had each event once, in order. */
  readonly complete: number;
  /** What streams ended with that did not go on. */
  readonly failures: readonly unknown[];
}

/** One of two replicas is told to end while calls and streams are open: nothing that it took is lost. */
export const drain: Row = {
  name: "a drain under load",
  async run(shop) {
    const replicas = [await shop.startReplica("orders"), await shop.startReplica("orders")] as const;
    for (const replica of replicas) await warmUp(replica);
    const [customerId, importerId] = [await newCustomer(shop), await newCustomer(shop)];
    const tally = new Tally(...METHODS);
    // The imports wait on purpose.
    const pace = new Tally("GetOrder", "CreateOrder");
    const streams = new Tally("WatchOrders");
    const target = `ipv4:${replicas.map((replica) => replica.target).join()}`;
    const observer: Observer = (event) => {
      tally.observer(event);
      pace.observer(event);
      streams.observer(event);
    };
    using orders = createClient(OrderService, target, { observer });

    const watchers = Array.from({ length: WATCHERS }, () => new Watcher());
    const watching = new AbortController();
    const watched = watchers.map((watcher) => watcher.run(orders, customerId, watching.signal));
    const uploads = Array.from({ length: UPLOADS }, () => new Upload(orders, importerId));
    const load = new OrderLoad(orders, customerId);
    await until("the load is under way", () => tally.count("OK") >= ENOUGH);
    await until("every stream has an event", () => watchers.every(({ revisions }) => revisions.length > 0));

    const [first, second] = (await serves(replicas[0])) ? replicas : [replicas[1], replicas[0]];
    const health: string[] = [];
    const healthEnded = watchHealth(first, health);
    await until("health says SERVING", () => health.includes("SERVING"));
    await until("the imports are under way", async () => (await first.counts()).ImportOrders?.started === UPLOADS);
    const ended = first.stop();
    // The drain ends this stream too, so that it has certainly begun while the imports were under way.
    await healthEnded;
    for (const upload of uploads) upload.finish();
    const exit = await ended;
    const before = tally.count("OK");
    await until("the other replica has the load", () => tally.count("OK") >= before + ENOUGH);
    await load.stop();
    const { created } = load;
    await until("every stream has every event", () => watchers.every((one) => one.revisions.length >= created.length));
    watching.abort();
    await Promise.all(watched);

    const replay = await replayOf(second, customerId, created.length);
    const seen: Seen = {
      calls: tally.calls,
      succeeded: tally.count("OK"),
      first: await first.counts(),
      second: await second.counts(),
      exit,
      health,
      drained: streams.acted("resume", "scheduled", { because: "drain" }),
      created,
      kept: replay.orderIds,
      imported: (await Promise.all(uploads.map(({ imported }) => imported))).reduce((sum, n) => sum + n, 0),
      importsKept: await countOrders(second, importerId),
      complete: watchers.filter(({ revisions }) => isDeepStrictEqual(revisions, replay.revisions)).length,
      failures: watchers.flatMap(({ failure }) => (failure === undefined ? [] : [failure])),
    };
    await second.stop();
    return {
      calls: seen.calls,
      attempts: tally.attempts,
      outcome: `${tally}; ${seen.drained} streams reopened`,
      durationsMs: pace.durationsMs,
      policy: policyOf(seen),
      late: tally.count("DEADLINE_EXCEEDED"),
      checks: judge(seen),
    };
  },
};

/** What must have been seen. */
export function judge(seen: Seen): Check[] {
  const { first, second, created, kept } = seen;
  const watched = first.WatchOrders ?? NOTHING;
  return [
    same("calls that succeeded", seen.succeeded, seen.calls),
    within("calls that reached the drained replica", unary(first, "started"), UPLOADS + 1),
    same("of them answered", unary(first, "answered"), unary(first, "started")),
    same("calls that either replica answered", unary(first, "answered") + unary(second, "answered"), seen.succeeded),
    same("streams that the drained replica served", watched.started, WATCHERS),
    same("of them stopped", watched.stopped, WATCHERS),
    within("streams that the drain ended, and their client opened again", seen.drained, WATCHERS),
    same("streams that failed", [...new Set(seen.failures.map(String))].join("; "), ""),
    same("what a health watcher was told", seen.health.join(), "SERVING,NOT_SERVING,DRAINING"),
    same("the drained process ended", `code ${seen.exit.code}, signal ${seen.exit.signal}`, "code 0, signal null"),
    same("orders that a client was told of and nobody has", created.filter((id) => !kept.includes(id)).length, 0),
    same("orders that are there and no client was told of", kept.filter((id) => !created.includes(id)).length, 0),
    same("orders that the imports placed", seen.imported, 2 * UPLOADS),
    same("of them kept", seen.importsKept, 2 * UPLOADS),
    same("streams that went on without gap or duplicate", seen.complete, WATCHERS),
  ];
}

function policyOf(seen: Seen): string {
  const [started, answered] = [unary(seen.first, "started"), unary(seen.first, "answered")];
  return [
    `${started} calls had reached the replica and ${answered} were answered before it ended;`,
    `the other ${seen.calls - started} went to the next one;`,
    `${seen.complete} of ${WATCHERS} streams went on there without gap or duplicate`,
  ].join(" ");
}

function unary(counts: Counts, what: "started" | "answered"): number {
  return METHODS.reduce((sum, method) => sum + (counts[method] ?? NOTHING)[what], 0);
}

/** Makes it connect, and read, before GetOrder's 300 ms count. */
async function warmUp(replica: ServiceProcess): Promise<void> {
  await countOrders(replica, "u-1");
}

async function countOrders(replica: ServiceProcess, customerId: string): Promise<number> {
  using orders = createClient(OrderService, replica.target);
  return (await collect(orders.listOrders({ customerId }))).length;
}

async function serves(replica: ServiceProcess): Promise<boolean> {
  return (await replica.counts()).WatchOrders !== undefined;
}

/** Everything that happened to a customer's orders, read anew. */
async function replayOf(replica: ServiceProcess, customerId: string, events: number): Promise<Watcher> {
  using orders = createClient(OrderService, replica.target);
  const watcher = new Watcher();
  const controller = new AbortController();
  const watching = watcher.run(orders, customerId, controller.signal);
  await until("the events are read anew", () => watcher.revisions.length >= events);
  controller.abort();
  await watching;
  return watcher;
}
