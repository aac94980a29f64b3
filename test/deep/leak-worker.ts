// Makes many calls of every kind and outcome through one client and one server in this process, and reports what is
// left of them. Run with --expose-gc.
import { getEventListeners } from "node:events";
import { setImmediate, setTimeout } from "node:timers/promises";
import {
  type Breakers,
  breakersOf,
  type CallOptions,
  clientMiddleware,
  createClient,
  type ObserverEvent,
} from "bowline";
import { createServer } from "bowline/server";
import { createChannel, createClientFactory } from "nice-grpc";
import type { OrderServiceClient } from "../../gen/shop/orders/v1/orders.contract.ts";
import { FaultyOrders, faultyHandlers, RETRIES_IN_FLIGHT } from "../support/faulty-orders.ts";

/** The first leg warms up: code is compiled, and tables grow. */
const LEGS = 5;
/** Calls under way at a time. */
const LOOPS = 32;

const [way, calls] = process.argv.slice(2);
const callsPerLeg = Number(calls) / LEGS;
const server = createServer({
  drainOn: [],
  idempotency: false,
  validation: false,
  authenticate: false,
  maxStreamResetsPerSecond: 1e6,
}).add(FaultyOrders, faultyHandlers);
const port = await server.listen("127.0.0.1:0");
/** What happened how often. */
const tally: Record<string, number> = {};
/** Calls that wait before they are tried again, by how long the server told them to. */
const waiting = new Map<unknown, () => void>();
let longestWaitMs = 60_000;
const { orders, breakers } = connect();
const { signal } = new AbortController();

function connect(): { orders: OrderServiceClient; breakers: Breakers } {
  const options = { observer: observe };
  if (way === "createClient") {
    const client = createClient(FaultyOrders, `127.0.0.1:${port}`, options);
    return { orders: client, breakers: breakersOf(client) };
  }
  const middleware = clientMiddleware(FaultyOrders, options);
  const channel = createChannel(`127.0.0.1:${port}`);
  const client = createClientFactory().use(middleware).create(FaultyOrders.definition, channel);
  return { orders: client as unknown as OrderServiceClient, breakers: breakersOf(middleware) };
}

function observe(event: ObserverEvent): void {
  if (event.type === "call.ended") count(event.reason ?? event.status);
  if (event.type !== "policy") return;
  const { policy, action, detail } = event;
  count(`${policy} ${action}`);
  if (policy === "retry") count(`${policy} ${action}: ${action === "denied" ? detail.because : detail.status}`);
  if (action === "scheduled") waiting.get(detail.delayMs)?.();
}

function count(what: string): void {
  tally[what] = (tally[what] ?? 0) + 1;
}

type Make = (options: CallOptions) => Promise<unknown>;

function get(orderId: string): Make {
  return (options) => orders.getOrder({ orderId }, options);
}

function list(customerId: string): Make {
  return (options) => Array.fromAsync(orders.listOrders({ customerId }, options));
}

const create: Make = (options) => orders.createOrder({}, options);
const importNone: Make = (options) => orders.importOrders((async function* () {})(), options);

async function watchOne(options: CallOptions): Promise<void> {
  for await (const _ of orders.watchOrders({}, options)) break;
}

/** Makes a call, and cancels it a turn of the event loop later. */
async function cancelled(make: Make): Promise<void> {
  const controller = new AbortController();
  const call = make({ signal: controller.signal });
  setImmediate().then(() => controller.abort());
  await call;
}

/** Makes a call whose server asks for a long wait, and cancels it during that. */
async function cancelledInBackoff(called: (name: string) => Make): Promise<void> {
  const controller = new AbortController();
  longestWaitMs += 1;
  const waitMs = longestWaitMs;
  waiting.set(waitMs, () => setImmediate().then(() => controller.abort()));
  await called(`wait ${waitMs}`)({ signal: controller.signal }).finally(() => waiting.delete(waitMs));
}

const FAULTS: readonly (() => Promise<unknown>)[] = [
  ...["missing", "down once", "down", "silent once"].map((name) => () => get(name)({ signal })),
  ...["asked to wait", "asked to stay away"].map((name) => () => get(name)({ signal })),
  ...["well", "down once", "silent once", "breaks off"].map((name) => () => list(name)({ signal })),
  () => cancelledInBackoff(get),
  () => cancelledInBackoff(list),
  () => cancelled(create),
  () => create({ signal, timeoutMs: 2 }),
  () => importNone({ signal }),
  () => cancelled(importNone),
  () => watchOne({ signal }),
];

const well = () => get("well")({ signal });
const ROUND = FAULTS.flatMap((fault) => [fault, well]);

/** Makes so many calls, as many at a time as there are loops; each loop begins the round at another call. */
async function makeCalls(number: number): Promise<void> {
  let made = 0;
  const loop = async (_: unknown, offset: number) => {
    for (let at = offset; made < number; at += 1) {
      made += 1;
      await ROUND[at % ROUND.length]?.().catch(() => {});
    }
  };
  await Promise.all(Array.from({ length: LOOPS }, loop));
}

/** Of so many calls that all fail at once, how many the budget allows another attempt. */
async function retriesAllowed(tries: number): Promise<number> {
  const controller = new AbortController();
  const decided = () => (tally["retry scheduled"] ?? 0) + (tally["retry denied"] ?? 0);
  const [allowedBefore = 0, end] = [tally["retry scheduled"], decided() + tries];
  const make = () => get("wait 60000")({ signal: controller.signal });
  const settled = Promise.allSettled(Array.from({ length: tries }, make));
  while (decided() < end) await setImmediate();
  const allowed = (tally["retry scheduled"] ?? 0) - allowedBefore;
  controller.abort();
  await settled;
  return allowed;
}

/** Cancels trials of the breaker that is open all the time. @returns how many are still under way. */
async function trialsLeft(): Promise<number> {
  await setTimeout(100);
  await Promise.allSettled([cancelled(importNone), cancelled(importNone)]);
  return Object.values(breakers.snapshot()).reduce((sum, { trials }) => sum + trials, 0);
}

async function heapBytes(): Promise<number> {
  for (let turn = 0; turn < 5; turn += 1) {
    await setTimeout(50);
    globalThis.gc?.();
  }
  return process.memoryUsage().heapUsed;
}

/** What would keep the process alive, by type. */
function handles(): Record<string, number> {
  const types = Map.groupBy(process.getActiveResourcesInfo(), (type) => type);
  return Object.fromEntries([...types].map(([type, { length }]) => [type, length]));
}

await makeCalls(callsPerLeg);
const before = { heap: await heapBytes(), handles: handles() };
for (let leg = 1; leg < LEGS; leg += 1) await makeCalls(callsPerLeg);
const after = { heap: await heapBytes(), handles: handles() };
process.send?.({
  bytesPerCall: (after.heap - before.heap) / (callsPerLeg * (LEGS - 1)),
  handlesBefore: before.handles,
  handles: after.handles,
  listeners: getEventListeners(signal, "abort").length,
  activeCalls: server.activeCalls,
  trials: await trialsLeft(),
  retriesAllowed: await retriesAllowed(RETRIES_IN_FLIGHT + 1),
  tally,
});
process.disconnect();
process.exit(0);
