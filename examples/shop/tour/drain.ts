import { isDeepStrictEqual } from "node:util";
import { createClient, RpcError } from "bowline";
import { Health } from "../../../gen/health/v1/health.contract.ts";
import { HealthCheckResponse_ServingStatus as ServingStatus } from "../../../gen/health/v1/health.ts";
import { OrderService, type OrderServiceClient } from "../../../gen/shop/orders/v1/orders.contract.ts";
import type { Exit, ServiceProcess } from "../processes.ts";
import { type Counts, NOTHING } from "./instruments.ts";
import { collect, until } from "./load.ts";
import { newCustomer } from "./new-customer.ts";
import { type Check, type Row, same, within } from "./row.ts";
import { Tally } from "./tally.ts";
import { Watcher } from "./watcher.ts";

const WORKERS = 4;
const WATCHERS = 4;
/** How many calls must succeed before the drain, and again after it. */
const ENOUGH = 300;
/** At most so many calls of each worker, should they all fail at once. */
const MOST_CALLS = 10_000;

/** What the row saw, from both sides. */
export interface Seen {
  /** GetOrder and CreateOrder, made without a pause before, during and after the drain. */
  readonly calls: number;
  readonly succeeded: number;
  /** What the drained replica had counted in the end, and the other one. */
  readonly first: Counts;
  readonly second: Counts;
  readonly exit: Exit;
  /** What a health watcher was told, in order. */
  readonly health: readonly string[];
  /** Streams of orders that ended with UNAVAILABLE, reason DRAINING. */
  readonly drained: number;
  /** Ids of the orders that clients were told of. */
  readonly created: readonly string[];
  /** Ids of the orders that the other replica has in the end, by revision. */
  readonly kept: readonly string[];
  /** Watchers that in the end had each event once, in order. */
  readonly complete: number;
  /** Streams that ended in another way than by the drain. */
  readonly failures: readonly unknown[];
}

/** One of two replicas is told to end while calls and streams are open: nothing that it took is lost. */
export const drain: Row = {
  name: "a drain under load",
  async run(shop) {
    const replicas = [await shop.startReplica("orders"), await shop.startReplica("orders")] as const;
    for (const replica of replicas) await warmUp(replica);
    const customerId = await newCustomer(shop);
    const tally = new Tally("GetOrder", "CreateOrder");
    const target = `ipv4:${replicas.map((replica) => replica.target).join()}`;
    using orders = createClient(OrderService, target, { observer: tally.observer });

    const watchers = Array.from({ length: WATCHERS }, () => new Watcher());
    const watching = new AbortController();
    const watched = watchers.map((watcher) => watcher.run(orders, customerId, watching.signal));
    const load = new Load(orders, customerId);
    await until("the load is under way", () => tally.count("OK") >= ENOUGH);
    await until("every stream has an event", () => watchers.every(({ revisions }) => revisions.length > 0));

    const [first, second] = (await serves(replicas[0])) ? replicas : [replicas[1], replicas[0]];
    const health: string[] = [];
    const healthEnded = watchHealth(first, health);
    await until("health says SERVING", () => health.includes("SERVING"));
    first.terminate();
    const exit = await first.exited;
    await healthEnded;
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
      drained: watchers.reduce((sum, { drained }) => sum + drained, 0),
      created,
      kept: replay.orderIds,
      complete: watchers.filter(({ revisions }) => isDeepStrictEqual(revisions, replay.revisions)).length,
      failures: watchers.flatMap(({ failures }) => failures),
    };
    await second.stop();
    return {
      calls: seen.calls,
      outcome: `${tally}; ${seen.drained} streams UNAVAILABLE (DRAINING)`,
      durationsMs: tally.durationsMs,
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
    within("calls that reached the drained replica", unary(first, "started"), 1),
    same("of them answered", unary(first, "answered"), unary(first, "started")),
    same("calls that either replica answered", unary(first, "answered") + unary(second, "answered"), seen.succeeded),
    same("streams that the drained replica served", watched.started, WATCHERS),
    same("of them stopped", watched.stopped, WATCHERS),
    within("streams that ended with UNAVAILABLE, reason DRAINING", seen.drained, WATCHERS),
    same("streams that failed otherwise", seen.failures.join("; "), ""),
    same("what a health watcher was told", seen.health.join(), "SERVING,NOT_SERVING,DRAINING"),
    same("the drained process ended", `code ${seen.exit.code}, signal ${seen.exit.signal}`, "code 0, signal null"),
    same("orders that the other replica has", kept.toSorted().join(), created.toSorted().join()),
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
  return (counts.GetOrder ?? NOTHING)[what] + (counts.CreateOrder ?? NOTHING)[what];
}

/** Reads and writes without a pause, until it is stopped. */
class Load {
  /** Ids of the orders that it was told were created. */
  readonly created: string[] = [];
  readonly #work: Promise<unknown>;
  #stopped = false;

  constructor(orders: OrderServiceClient, customerId: string) {
    this.#work = Promise.all(Array.from({ length: WORKERS }, () => this.#run(orders, customerId)));
  }

  /** Makes no further calls; resolves when those under way have ended. */
  async stop(): Promise<void> {
    this.#stopped = true;
    await this.#work;
  }

  async #run(orders: OrderServiceClient, customerId: string): Promise<void> {
    const items = [{ sku: "fender", quantity: 2, unitPriceCents: 3_490n }];
    for (let n = 0; n < MOST_CALLS && !this.#stopped; n++) {
      const call =
        n % 8 === 0
          ? orders.createOrder({ customerId, items }).then(({ orderId }) => this.created.push(orderId))
          : orders.getOrder({ orderId: `o-${1 + (n % 1_000)}` });
      // The tally has it if it fails.
      await call.catch(() => {});
    }
  }
}

/** Makes it connect, and read, before GetOrder's 300 ms count. */
async function warmUp(replica: ServiceProcess): Promise<void> {
  using orders = createClient(OrderService, replica.target);
  await collect(orders.listOrders({ limit: 100 }));
}

async function serves(replica: ServiceProcess): Promise<boolean> {
  return (await replica.counts()).WatchOrders !== undefined;
}

/** Writes down what a health watcher is told, and with what reason its stream ends. */
async function watchHealth(replica: ServiceProcess, told: string[]): Promise<void> {
  using health = createClient(Health, replica.target);
  try {
    for await (const { status } of health.watch({ service: OrderService.name }))
      told.push(status === ServingStatus.SERVING ? "SERVING" : "NOT_SERVING");
    told.push("OK");
  } catch (error) {
    told.push(RpcError.from(error).reason);
  }
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
