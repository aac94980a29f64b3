import { closeClient, createClient, type Observer } from "bowline";
import { type FaultRule, faultProxy, seededRandom } from "bowline/testing";
import { OrderService, type OrderServiceClient } from "../../../gen/shop/orders/v1/orders.contract.ts";
import type { Shop } from "../shop.ts";
import { until } from "./load.ts";
import { heldMib } from "./memory.ts";
import { newCustomer } from "./new-customer.ts";
import { type Check, type Row, same, within } from "./row.ts";
import { type Read, SteadyReader } from "./steady-reader.ts";
import { quantile } from "./table.ts";
import { Tally } from "./tally.ts";

const READERS = 200;
const EVENTS = 10_000;
/** How many orders are placed at a time. */
const BATCH = 250;
/** How often the server is killed. */
const KILLS = 2;
/** About what an event takes on the wire, in bytes. */
const EVENT_BYTES = 75;
/** Early on, so that it is noticed while the others are at work. */
const SILENT_AFTER_BYTES = 20_000;
/** So often, and not every 60 s: a stream that stalled is opened again on the same connection, until that is found dead. */
const KEEPALIVE_MS = 20_000;
/** In how many places connections are cut. */
const CUTS = 50;
/** What the readers' process may hold on to more in the end than after a fifth of the events, in MiB. */
const READERS_GROWTH_MIB = 48;
/** What the server may hold on to more in the end than when the readers had come back to it, in MiB. */
const SERVER_GROWTH_MIB = 32;
/** How long may be waited for the readers, in milliseconds. */
const LONG_MS = 120_000;
const SEED = 4;

/** What the row saw, from both sides. */
export interface Seen {
  /** What each reader had, and what the database has. */
  readonly readers: readonly Read[];
  readonly database: Read;
  /** What streams ended with that did not go on. */
  readonly failures: readonly unknown[];
  /** How many connections the proxy broke. */
  readonly broken: number;
  /** How often each reader's stream was resumed. */
  readonly resumed: readonly number[];
  readonly stalled: number;
  readonly kills: number;
  /** How many events the slow reader had had when the last one was placed, and how many the median of the others. */
  readonly slowCount: number;
  readonly othersCount: number;
  /** What the readers' process holds on to: after a fifth of the events, and in the end. */
  readonly readersMib: readonly [before: number, after: number];
  /** What the server holds on to: when the readers had come back after its last restart, and in the end. */
  readonly serverMib: readonly [before: number, after: number];
}

/** Two hundred streams on a wire that breaks again and again, from a server that is killed twice: nothing is lost. */
export const brokenStreams: Row = {
  name: "streams on a broken wire",
  async run(shop) {
    const customerId = await newCustomer(shop);
    const server = new MortalServer(shop);
    await server.start();
    await using proxy = await faultProxy(server.target, { seed: SEED }).script(...rules());
    const tally = new Tally();
    const noticedMs: number[] = [];
    const readers = Array.from({ length: READERS }, () => new SteadyReader());
    const leaving = new AbortController();
    const resumed = readers.map(() => 0);
    const clients = readers.map((reader, n) => {
      const observer: Observer = (event) => {
        tally.observer(event);
        if (event.type !== "policy") return;
        if (event.action === "stalled") noticedMs.push(performance.now() - reader.lastAt);
        if (event.action === "resumed") resumed[n] = (resumed[n] ?? 0) + 1;
      };
      return connect(proxy.target, observer);
    });
    const reading = readers.map((reader, n) =>
      reader.run(clients[n] as OrderServiceClient, customerId, leaving.signal),
    );

    using direct = createClient(OrderService, shop.orders.target);
    // Not the first, whose connection stops without a word: a reader that is at work does not wait, and notices no stall.
    const slow = readers.at(-1) as SteadyReader;
    const others = readers.slice(0, -1);
    const othersCount = () => median(others.map(({ count }) => count));
    const startedAt = performance.now();
    let readersBefore = 0;
    let serverBefore = 0;
    for (let placed = 0; placed < EVENTS; placed += BATCH) {
      await place(direct, customerId);
      const behind = () => others.filter(({ count }) => count < placed - 2 * BATCH).length;
      await until("most readers keep up", () => behind() < READERS / 10, LONG_MS);
      slow.workMs = (10 * (performance.now() - startedAt)) / othersCount();
      if (placed === EVENTS / 5) readersBefore = heldMib();
      if (server.kills === KILLS && serverBefore === 0) serverBefore = await server.heldMib();
      if (placed % (EVENTS / (KILLS + 1)) < BATCH && placed > 0 && server.kills < KILLS) await server.killAndRestart();
    }
    const counts = { slowCount: slow.count, othersCount: othersCount() };
    slow.workMs = 0;
    await until(
      "every reader has every event",
      () => readers.every(({ count, failure }) => count >= EVENTS || failure),
      LONG_MS,
    );
    const readersMib = [readersBefore, heldMib()] as const;
    const serverMib = [serverBefore, await server.heldMib()] as const;
    leaving.abort();
    await Promise.all(reading);
    for (const client of clients) closeClient(client);

    const { connections } = await proxy.seen();
    const tookMs = tally.details("resume", "resumed").map((detail) => Number(detail.tookMs));
    const seen: Seen = {
      readers: readers.map((reader) => reader.read()),
      database: await readAll(direct, customerId),
      failures: readers.flatMap(({ failure }) => (failure === undefined ? [] : [failure])),
      broken: connections.filter(({ fault }) => fault).length,
      resumed,
      stalled: tally.acted("stall", "stalled"),
      kills: server.kills,
      ...counts,
      readersMib,
      serverMib,
    };
    await server.stop();
    return {
      calls: tally.calls,
      attempts: tally.attempts,
      outcome: `${READERS} streams had ${EVENTS.toLocaleString("en")} events each`,
      durationsMs: tookMs,
      policy: [
        `${tookMs.length.toLocaleString("en")} times a stream was resumed, after ${quantile(tookMs, 0.5)} ms`,
        `(p99 ${quantile(tookMs, 0.99)}), each at least ${Math.min(...resumed)} times; a stall was noticed after`,
        `${quantile(noticedMs, 0.5)} ms; none lost, none doubled, in order; the slow reader had ${seen.slowCount} when`,
        `others had ${seen.othersCount}; memory of the readers ${shown(readersMib)}, of the server ${shown(serverMib)}`,
      ].join(" "),
      late: 0,
      checks: judge(seen),
    };
  },
};

/** What must have been seen. */
export function judge(seen: Seen): Check[] {
  const { readers, database, readersMib, serverMib } = seen;
  return [
    same("streams that did not go on", [...new Set(seen.failures.map(String))].join("; "), ""),
    same("readers", readers.length, READERS),
    same("events in the database", database.count, EVENTS),
    same("readers that lack events or had some twice", readers.filter(({ count }) => count !== EVENTS).length, 0),
    same("events out of order", sum(readers.map(({ outOfOrder }) => outOfOrder)), 0),
    same("readers that had something else", readers.filter(({ digest }) => digest !== database.digest).length, 0),
    within("connections that were broken", seen.broken, READERS),
    within("times a stream was resumed", sum(seen.resumed), seen.broken),
    // The server's deaths break every stream: each must have met the wire's faults besides.
    same("readers that were cut by no more than the server's deaths", seen.resumed.filter((n) => n <= KILLS).length, 0),
    within("stalls that were noticed", seen.stalled, 1),
    same("times the server was killed", seen.kills, KILLS),
    within("events of the slow reader when the last was placed", seen.slowCount, 1, seen.othersCount / 2),
    grown("MiB that the readers' process holds on to in the end", readersMib, READERS_GROWTH_MIB),
    grown("MiB that the server holds on to in the end", serverMib, SERVER_GROWTH_MIB),
  ];
}

/** What may not have become more by more than so much. What was never measured has not been shown. */
function grown(what: string, [before, after]: readonly [before: number, after: number], most: number): Check {
  return within(what, Math.round(after), 1, before > 0 ? Math.round(before) + most : 0);
}

/** The first connection stops without a word; all others are cut after 500 to 3,300 events, anywhere. */
function rules(): FaultRule[] {
  const random = seededRandom(SEED);
  const bytes = () => Math.floor((500 + 2_800 * random()) * EVENT_BYTES);
  // Of the places that are left, each has the same chance: the last one takes what the others do not.
  const cuts = Array.from({ length: CUTS }, (_, n): FaultRule => {
    return { on: "connection", ratio: 1 / (CUTS - n), fault: "cut", afterBytes: bytes(), towards: "client" };
  });
  return [
    { on: "connection", nth: [1], fault: "half-open", afterBytes: SILENT_AFTER_BYTES, towards: "client" },
    ...cuts,
  ];
}

/** A replica of the orders service that is killed now and then, and comes back on the same port. */
class MortalServer {
  readonly #shop: Shop;
  #process: Awaited<ReturnType<Shop["startReplica"]>> | undefined;
  kills = 0;

  constructor(shop: Shop) {
    this.#shop = shop;
  }

  get target(): string {
    return this.#process?.target ?? "";
  }

  async start(): Promise<void> {
    const port = this.target.split(":")[1] ?? "0";
    this.#process = await this.#shop.startReplica("orders", { SHOP_ORDERS_PORT: port });
  }

  /** What it holds on to, in MiB. */
  async heldMib(): Promise<number> {
    return (await this.#process?.heldMib()) ?? 0;
  }

  async killAndRestart(): Promise<void> {
    await this.#process?.kill();
    this.kills++;
    await this.start();
  }

  async stop(): Promise<void> {
    await this.#process?.stop();
  }
}

/** A client whose connection nobody shares, and whose keepalive finds it dead a while after the stall is noticed. */
function connect(target: string, observer: Observer): OrderServiceClient & Disposable {
  return createClient(OrderService, target, {
    observer,
    keepaliveTimeMs: KEEPALIVE_MS,
    keepaliveTimeoutMs: KEEPALIVE_MS / 2,
    channelOptions: { "grpc.use_local_subchannel_pool": 1 },
  });
}

/** Places orders past the proxy. */
async function place(orders: OrderServiceClient, customerId: string): Promise<void> {
  const order = { customerId, items: [{ sku: "compass", quantity: 1, unitPriceCents: 12_900n }] };
  await orders.importOrders(repeat({ order }, BATCH));
}

async function* repeat<T>(message: T, times: number): AsyncGenerator<T, void, undefined> {
  for (let n = 0; n < times; n++) yield message;
}

/** At least 1. */
function median(counts: readonly number[]): number {
  return Math.max(1, counts.toSorted((one, other) => one - other)[Math.floor(counts.length / 2)] ?? 0);
}

/** What there is, read anew. */
async function readAll(orders: OrderServiceClient, customerId: string): Promise<Read> {
  const reader = new SteadyReader();
  const leaving = new AbortController();
  const reading = reader.run(orders, customerId, leaving.signal);
  await until("the events are read anew", () => reader.count >= EVENTS || reader.failure !== undefined);
  leaving.abort();
  await reading;
  return reader.read();
}

function shown([before, after]: readonly [before: number, after: number]): string {
  return `${before.toFixed(0)} MiB, then ${after.toFixed(0)}`;
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, number) => total + number, 0);
}
