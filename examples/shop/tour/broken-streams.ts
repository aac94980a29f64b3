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
/** So many of the connections are cut; the others stay. */
const CUT_CONNECTIONS = 10 * READERS;
/** What each process may hold on to more in the end than after a fifth of the events, in MiB. */
const GROWTH_MIB = 48;
/** How long the last of them may take, in milliseconds. */
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
  readonly resumed: number;
  readonly stalled: number;
  readonly kills: number;
  /** What the readers' process holds on to: after a fifth of the events, and in the end. */
  readonly heldMib: readonly [before: number, after: number];
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
    const clients = readers.map((reader) => {
      const observer: Observer = (event) => {
        tally.observer(event);
        if (event.type === "policy" && event.action === "stalled") noticedMs.push(performance.now() - reader.lastAt);
      };
      return connect(proxy.target, observer);
    });
    const reading = readers.map((reader, n) =>
      reader.run(clients[n] as OrderServiceClient, customerId, leaving.signal),
    );

    using direct = createClient(OrderService, shop.orders.target);
    const [slow] = readers;
    const startedAt = performance.now();
    let before = 0;
    for (let placed = 0; placed < EVENTS; placed += BATCH) {
      await place(direct, customerId);
      const behind = () => readers.filter((reader) => reader !== slow && reader.count < placed - 2 * BATCH).length;
      await until("most readers keep up", () => behind() < READERS / 10);
      if (slow) slow.workMs = (10 * (performance.now() - startedAt)) / median(readers.map(({ count }) => count));
      if (placed === EVENTS / 5) before = heldMib();
      if (placed % (EVENTS / (KILLS + 1)) < BATCH && placed > 0 && server.kills < KILLS) await server.killAndRestart();
    }
    if (slow) slow.workMs = 0;
    await until(
      "every reader has every event",
      () => readers.every(({ count, failure }) => count >= EVENTS || failure),
      LONG_MS,
    );
    const after = heldMib();
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
      resumed: tookMs.length,
      stalled: tally.acted("stall", "stalled"),
      kills: server.kills,
      heldMib: [before, after],
    };
    await server.stop();
    return {
      calls: tally.calls,
      attempts: tally.attempts,
      outcome: `${READERS} streams had ${EVENTS.toLocaleString("en")} events each`,
      durationsMs: tookMs,
      policy: [
        `${seen.resumed.toLocaleString("en")} times a stream was resumed, after ${quantile(tookMs, 0.5)} ms`,
        `(p99 ${quantile(tookMs, 0.99)}); a stall was noticed after ${quantile(noticedMs, 0.5)} ms;`,
        `none lost, none doubled, in order; memory ${before.toFixed(0)} MiB, then ${after.toFixed(0)}`,
      ].join(" "),
      late: 0,
      checks: judge(seen),
    };
  },
};

/** What must have been seen. */
export function judge(seen: Seen): Check[] {
  const { readers, database } = seen;
  const [before, after] = seen.heldMib;
  return [
    same("streams that did not go on", [...new Set(seen.failures.map(String))].join("; "), ""),
    same("readers", readers.length, READERS),
    same("events in the database", database.count, EVENTS),
    same("readers that lack events or had some twice", readers.filter(({ count }) => count !== EVENTS).length, 0),
    same("events out of order", sum(readers.map(({ outOfOrder }) => outOfOrder)), 0),
    same("readers that had something else", readers.filter(({ digest }) => digest !== database.digest).length, 0),
    within("connections that were broken", seen.broken, READERS),
    within("times a stream was resumed", seen.resumed, seen.broken),
    within("stalls that were noticed", seen.stalled, 1),
    same("times the server was killed", seen.kills, KILLS),
    within("MiB that the readers' process holds on to in the end", Math.round(after), 0, before + GROWTH_MIB),
  ];
}

/** The first connection stops without a word; of the others, many are cut after 500 to 5,000 events, anywhere. */
function rules(): FaultRule[] {
  const random = seededRandom(SEED);
  const bytes = () => Math.floor((500 + 4_500 * random()) * EVENT_BYTES);
  const cuts = Array.from({ length: CUT_CONNECTIONS }, (_, n): FaultRule => {
    return { on: "connection", nth: [n + 2], fault: "cut", afterBytes: bytes(), towards: "client" };
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

  async killAndRestart(): Promise<void> {
    await this.#process?.kill();
    this.kills++;
    await this.start();
  }

  async stop(): Promise<void> {
    await this.#process?.stop();
  }
}

/** A client whose connection nobody shares. */
function connect(target: string, observer: Observer): OrderServiceClient & Disposable {
  return createClient(OrderService, target, { observer, channelOptions: { "grpc.use_local_subchannel_pool": 1 } });
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

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, number) => total + number, 0);
}
