import { expect, test } from "vitest";
import { blocksOf } from "../package/readme.ts";
import { run } from "../support/run.ts";
import { runInOrder, userProject } from "../support/user-project.ts";

/** A scripted server and a client of it, as pages take them for granted. */
const ORDERS = `
import { adaptiveLimit, breakersOf, bulkhead, circuitBreaker, createClient, retry, RpcError, settleAll, throttle, updatePolicies } from "bowline";
import { scriptedServer } from "bowline/testing";
import { createClientFactory } from "nice-grpc";
import { Order } from "./gen/shop/orders/v1/orders.ts";
import { OrderService } from "./gen/shop/orders/v1/orders.contract.ts";

await using server = await scriptedServer(OrderService);
using orders = createClient(OrderService, server.target);
`;

const CALLS = `${ORDERS}
const fetch = async (..._: unknown[]) => new Response("sent");
server.expect("getOrder").fail("NOT_FOUND");
`;

const OBSERVED = `${ORDERS}
import type { Observer } from "bowline";

server.expect("getOrder").fail("UNAVAILABLE").times(Infinity);
const logged: string[] = [];
console.log = (line: string) => void logged.push(line);
`;

const OBSERVED_END = `
for (let left = 30; left > 0; left -= 1) await watched.getOrder({ orderId: "o-1" }).catch(() => {});
const { "call.ended /shop.orders.v1.OrderService/GetOrder UNAVAILABLE": calls, "retry scheduled": retries = 0 } = counts;
const { "attempt.ended /shop.orders.v1.OrderService/GetOrder UNAVAILABLE": attempts = 0 } = counts;
if (calls !== 30 || retries < 1 || attempts < 20 || counts["breaker opened"] !== 1) throw new Error(JSON.stringify(counts));
if (!/^\\/shop\\.orders\\.v1\\.OrderService\\/GetOrder: no calls for \\d+/.test(logged.join("\\n"))) throw new Error(logged.join());
`;

const WATCHED = `${ORDERS}
import { DatabaseSync } from "node:sqlite";

const database = new DatabaseSync(":memory:");
database.exec("CREATE TABLE booked (revision INTEGER); CREATE TABLE place (revision INTEGER)");
const loadPlace = () => BigInt(Number(database.prepare("SELECT max(revision) AS at FROM place").get()?.at ?? 0));
const savePlace = (cursor: bigint | undefined) => void database.prepare("INSERT INTO place VALUES (?)").run(cursor ?? null);
const book = ({ revision }: { revision: bigint }) => void database.prepare("INSERT INTO booked VALUES (?)").run(revision);
function transaction(work: () => void) {
  database.exec("BEGIN");
  work();
  database.exec("COMMIT");
}
server.expect("watchOrders", { afterRevision: 0n }).send({ revision: 41n }).send({ revision: 42n }).fail("UNAVAILABLE");
server.expect("watchOrders", { afterRevision: 42n }).send({ revision: 43n });
`;

const WATCHED_END = `
const rows = (table: string) => database.prepare("SELECT revision FROM " + table).all().map(({ revision }) => revision);
const said = [rows("booked"), rows("place"), loadPlace()].join(" ");
if (said !== "41,42,43 41,42,43 43") throw new Error(said);
`;

const ENDING = `${ORDERS}
import { setTimeout as sleep } from "node:timers/promises";

const leaving = new AbortController();
const { signal } = leaving;
const handled: bigint[] = [];
const handle = async ({ revision }: { revision: bigint }) => {
  handled.push(revision);
  if (revision === 43n) leaving.abort();
};
server.expect("watchOrders", { afterRevision: 0n }).send({ revision: 41n }).send({ revision: 42n });
server.expect("watchOrders", { afterRevision: 42n }).send({ revision: 43n }).hang();
try {
`;

const ENDING_END = `
} catch (error) {
  if (error !== signal.reason || handled.join() !== "41,42,43") throw error;
}
`;

const LISTED = `${ORDERS}
const revisions = [90n, 95n];
const listWithRevision = async (_?: AbortSignal) => {
  const revision = revisions.shift() ?? 0n;
  return { all: [Order.create({ orderId: "o-" + revision })], revision };
};
server.expect("watchOrders", { afterRevision: 90n }).send({ revision: 91n, order: { orderId: "o-91" } }).fail("UNAVAILABLE");
server.expect("watchOrders", { afterRevision: 91n }).fail("OUT_OF_RANGE");
server.expect("watchOrders", { afterRevision: 95n }).send({ revision: 96n, order: { orderId: "o-96" } });
`;

const LISTED_END = `
if ([...shown.keys()].join() !== "o-95,o-96") throw new Error([...shown.keys()].join());
`;

const EXPIRED = `${ORDERS}
const saved = 7n;
const reloadEverything = async (_: AbortSignal) => ({ revision: 90n });
server.expect("watchOrders", { afterRevision: 7n }).fail("OUT_OF_RANGE");
server.expect("watchOrders", { afterRevision: 90n }).send({ revision: 91n });
`;

const EXPIRED_END = `
for await (const { revision } of events) if (revision !== 91n) throw new Error("got " + revision);
`;

/** A service whose streams begin now, and a gateway before it whose handler the page has. */
const HANDED_ON = `
import { createClient, fail, RpcError } from "bowline";
import { createServer } from "bowline/server";
import { ordersHandlers } from "${import.meta.dirname}/../support/handlers.ts";
import { PatientOrders } from "${import.meta.dirname}/../support/patient-orders.ts";
import type { OrderServiceHandlers } from "./gen/shop/orders/v1/orders.contract.ts";

const resume = { requestField: "after_revision", cursorField: "revision", initialBackoffMs: 1 };
const OrderService = {
  ...PatientOrders,
  descriptors: () => "",
  methods: { ...PatientOrders.methods, watchOrders: { resume } },
};
const serve = async (watchOrders: OrderServiceHandlers["watchOrders"]) => {
  const server = createServer({ drainOn: [], authenticate: false }).add(OrderService, ordersHandlers({ watchOrders }));
  return { server, target: "127.0.0.1:" + (await server.listen("127.0.0.1:0")) };
};
const asked: bigint[] = [];
const log = await serve(async function* ({ afterRevision }, context) {
  asked.push(afterRevision);
  if (afterRevision === 0n) {
    context.pin(7n);
    await new Promise((sent) => setTimeout(sent, 20));
    fail("UNAVAILABLE", "cut");
  }
  if (afterRevision === 7n) fail("OUT_OF_RANGE", "gone");
  yield { revision: afterRevision + 1n };
});
using behind = createClient(OrderService, log.target);
`;

const HANDED_ON_END = `
const gateway = await serve(watchOrders);
using orders = createClient(OrderService, gateway.target);
const told: unknown[] = [];
const onExpired = (position: bigint) => {
  told.push("expired " + position);
  return { afterRevision: 90n };
};
for await (const { revision } of orders.watchOrders({}, { onExpired })) told.push(revision);
const said = [...asked, ...told].join();
if (said !== "0,7,90,expired 7,91") throw new Error(said);
await Promise.all([gateway, log].map(({ server }) => server.drain({ timeoutMs: 1 })));
`;

const CHECKED = `
import { UserService } from "./gen/shop/users/v1/users.contract.ts";

const OrderService = { ...UserService, service: {}, methods: {} };

process.env.ADDRESS = process.env.ADMIN_ADDRESS = "127.0.0.1:0";
const names = Object.keys(OrderService.definition.methods);
const handlers = Object.fromEntries(names.map((name) => [name, async () => ({})])) as never;
const database = { query: async (..._: unknown[]) => [] };
const payments = { ping: async (..._: unknown[]) => ({}) };
`;

const CHECKED_END = `
while (server.health.get("") !== "SERVING") await new Promise((resolve) => setTimeout(resolve, 1));
await server.drain({ delayMs: 0 });
const results = server.health.results().map(({ name, depth, status }) => [name, depth, status].join(" "));
if (results.join() !== "database deep passing,payments business pending") throw new Error(results.join());
`;

const DRAINED = `
import { createServer } from "bowline/server";

const server = createServer({ drainOn: [], authenticate: false });
const ended = Promise.withResolvers<void>();
const database = { end: async () => ended.resolve() };
`;

const DRAINED_END = `
process.emit("SIGTERM");
await ended.promise;
`;

const KEYED = `
import { idempotencyKey, retry } from "bowline";
import { idempotency, memoryIdempotency } from "bowline/server";
import { createChannel, createClientFactory, createServer } from "nice-grpc";
import { OrderServiceDefinition } from "./gen/shop/orders/v1/orders.ts";
`;

const KEYED_END = `
let runs = 0;
const createOrder = async () => ({ orderId: "o-" + ++runs });
const methods = Object.keys(OrderServiceDefinition.methods);
server.add(OrderServiceDefinition, { ...Object.fromEntries(methods.map((name) => [name, createOrder])) } as never);
const channel = createChannel("127.0.0.1:" + (await server.listen("127.0.0.1:0")));
const orders = factory.create(OrderServiceDefinition, channel);
const ids = [1, 2].map(async () => (await orders.createOrder({}, { idempotencyKey: "basket-7" })).orderId);
if ((await Promise.all(ids)).join() !== "o-1,o-1") throw new Error(runs + " orders");
channel.close();
server.forceShutdown();
`;

const SERVED = `
import { PatientOrders } from "${import.meta.dirname}/../support/patient-orders.ts";
import { ordersHandlers } from "${import.meta.dirname}/../support/handlers.ts";

// Without constraints, which would want a validator.
const OrderService = { ...PatientOrders, descriptors: () => "" };
const handlers = ordersHandlers({});
const findOrder = async (orderId: string | undefined, owner: string | undefined) => ({ orderId: orderId ?? "", customerId: owner ?? "" });
`;

const AUTHENTICATED = `
import { readFileSync } from "node:fs";
const [ca, cert, key] = ["ca.pem", "server.pem", "server.key"].map((name) =>
  readFileSync("${import.meta.dirname}/../fixtures/tls/" + name),
) as [Buffer, Buffer, Buffer];
const SHARED_SECRET = "a secret of at least thirty-two bytes";
const nameOf = async (key: unknown) => (key === "k-1" ? "batch" : undefined);
`;

const AUTHENTICATED_END = `
await server.drain();
`;

const WITH_TOKENS = `
import { OrderService } from "./gen/shop/orders/v1/orders.contract.ts";

const target = "localhost:1";
const credentials = "";
const fetch = async (..._: unknown[]) => ({ ok: true, status: 200, json: async () => ({ access_token: "t" }) as { access_token: string; expires_in?: number } });
`;

const WITH_TOKENS_END = `
if ((await tokens.token(AbortSignal.timeout(1_000))) !== "t") throw new Error("no token");
`;

const USERS = `
import { UserService } from "./gen/shop/users/v1/users.contract.ts";

const target = "localhost:1";
`;

const ISSUED_END = `
import { Metadata } from "nice-grpc";

const metadata = new Metadata({ authorization: "Bearer " + (await tokens.token(AbortSignal.timeout(1_000))) });
const found = await authenticate({ metadata } as never);
if (found?.identity.key !== "token:https://shop.example|orders") throw new Error("not authenticated");
`;

const REFUSED = `${ORDERS}
const items = [{ sku: "rope-10m", quantity: 1, unitPriceCents: 1n }];
const suggested: unknown[] = [];
const suggestOtherThan = (sku: string | undefined) => suggested.push(sku);
server.expect("createOrder").fail("FAILED_PRECONDITION", {
  statusDetails: [{ $type: "google.rpc.ErrorInfo", reason: "OUT_OF_STOCK", metadata: { sku: "rope-10m" } }],
});
`;

const REFUSED_END = `
if (suggested.join() !== "rope-10m") throw new Error("suggested " + suggested);
`;

const OWN_DETAIL = `
import type { RpcError } from "bowline";
import { OrderItem } from "./gen/shop/orders/v1/orders.ts";
`;

const OWN_DETAIL_END = `
try {
  refuse();
} catch (error) {
  if (left(error as RpcError) !== 3) throw error;
}
`;

const VALIDATED = `
import { createClient, RpcError } from "bowline";
import { createServer } from "bowline/server";
import { protovalidate } from "bowline/validate";
import { ordersHandlers } from "${import.meta.dirname}/../support/handlers.ts";
import { OrderService } from "./gen/shop/orders/v1/orders.contract.ts";

const server = createServer({ validation: protovalidate(), idempotency: false, authenticate: false });
server.add(OrderService, ordersHandlers({}));
using orders = createClient(OrderService, "127.0.0.1:" + (await server.listen("127.0.0.1:0")));
const shown: string[] = [];
const show = (...texts: string[]) => shown.push(texts.join(", "));
`;

const VALIDATED_END = `
const said = "items[0].quantity, must be greater than or equal to 1 and less than or equal to 10000, uint32.gte_lte";
if (shown.join() !== said) throw new Error(shown.join());
await server.drain({ timeoutMs: 1 });
`;

const LIMITED = `
import { createServer } from "bowline/server";
`;

const LIMITED_END = `
await server.drain();
`;

const SHARED_LIMITS = `
import { redisRateLimit } from "bowline/rate-limit-redis";
import { createServer } from "bowline/server";

const redis = { defineCommand() {} } as never;
`;

const MATTERING = `
import { createClient } from "bowline";
import { createServer } from "bowline/server";
import { ordersHandlers } from "${import.meta.dirname}/../support/handlers.ts";
import { PatientOrders } from "${import.meta.dirname}/../support/patient-orders.ts";

const OrderService = { ...PatientOrders, descriptors: () => "" };
const seen: unknown[] = [];
const served = createServer({ shed: { maxConcurrent: 2, loopDelayMs: Infinity }, authenticate: false }).add(OrderService, ordersHandlers({
  async getOrder(_, context) {
    seen.push(context.criticality);
    return {};
  },
}));
const target = "127.0.0.1:" + (await served.listen("127.0.0.1:0"));
`;

const MATTERING_END = `
if (seen.join() !== "sheddable,critical") throw new Error("served " + seen);
await served.drain({ timeoutMs: 1 });
`;

const CROWDED = `
import { createClient } from "bowline";
import { createServer } from "bowline/server";
import { ordersHandlers } from "${import.meta.dirname}/../support/handlers.ts";
import { PatientOrders } from "${import.meta.dirname}/../support/patient-orders.ts";

const OrderService = { ...PatientOrders, descriptors: () => "" };
const crowded = createServer({ maxStreamsPerConnection: 2, authenticate: false }).add(OrderService, ordersHandlers({
  getOrder: async () => ({ orderId: "o-1" }),
  async *watchOrders(_, { signal }) {
    yield {};
    await new Promise((resolve) => signal.addEventListener("abort", resolve));
  },
}));
const target = "127.0.0.1:" + (await crowded.listen("127.0.0.1:0"));
`;

const CROWDED_END = `
for (const _ of [1, 2]) await watching.watchOrders({}).next();
await orders.getOrder({ orderId: "o-1" }, { timeoutMs: 1_000 });
await crowded.drain({ timeoutMs: 1 });
`;

const LIMITED_NICE = `
import { deadlineInterceptor, rateLimit, shed } from "bowline/server";
import { createServer } from "nice-grpc";
`;

/** A broadcast of order events, and a server of them whose handler the page has. */
const FED = `
import { createClient, fail } from "bowline";
import { createServer } from "bowline/server";
import { createBroadcast } from "bowline/stream";
import { map } from "bowline/stream";
import { ordersHandlers } from "${import.meta.dirname}/../support/handlers.ts";
import { OrderService, type OrderServiceHandlers } from "./gen/shop/orders/v1/orders.contract.ts";
import { OrderEvent } from "./gen/shop/orders/v1/orders.ts";

const log: OrderEvent[] = [];
const orderEvents = createBroadcast<OrderEvent, bigint>({
  cursorOf: ({ revision }) => revision,
  startAfter: 0n,
  history: 10,
  maxLagMessages: SLOWNESS,
  onLag: "drop-oldest",
  replay: (revision) => log.slice(Number(revision)),
});
function add(count: number, customerId: string) {
  for (let left = count; left > 0; left -= 1) {
    const event = OrderEvent.create({ revision: BigInt(log.length + 1), order: { customerId } });
    log.push(event);
    orderEvents.publish(event);
  }
}
const asked: bigint[] = [];
const sent: string[] = [];
`;

/** A database of events, of which it is kept when they are read. */
const COMING_BACK = `
import { setImmediate } from "node:timers/promises";
import { createBroadcast, take } from "bowline/stream";
import { OrderEvent } from "./gen/shop/orders/v1/orders.ts";

const log = Array.from({ length: 1_500 }, (_, at) => OrderEvent.create({ revision: BigInt(at + 1) }));
const newestEvents = (count: number) => log.slice(-count);
const read: number[] = [];
let turns = 0;
const pageAfter = (revision: bigint) => {
  read.push(turns);
  return log.slice(Number(revision), Number(revision) + 100);
};
`;

const COMING_BACK_END = `
const counting = new AbortController();
void (async () => {
  for (; !counting.signal.aborted; turns += 1) await setImmediate();
})();
async function follow(after: bigint) {
  let at = after;
  for await (const { revision } of take(orderEvents.subscribe({ after, signal: AbortSignal.timeout(10_000) }), 1_500 - Number(after))) {
    if (revision !== ++at) throw new Error(revision + " in place of " + at);
  }
}
await Promise.all([1_499n, 1_300n, 500n].map(follow));
if (read.length > 0) throw new Error("read what memory has");
await Promise.all(Array.from({ length: 10 }, () => follow(100n)));
const inOneTurn = Math.max(...read.map((turn) => read.filter((other) => other === turn).length));
if (read.length !== 40 || inOneTurn > 2) throw new Error(read.length + " pages, " + inOneTurn + " in one turn");
counting.abort();
`;

/** @param isCut whether the first stream breaks after what it sent last */
const fedEnd = (isCut: string) => `
const server = createServer({ drainOn: [], idempotency: false, validation: false, authenticate: false });
const serving: OrderServiceHandlers["watchOrders"] = async function* (request, context) {
  asked.push(request.afterRevision);
  for await (const event of watchOrders(request, context)) {
    sent.push((event.heartbeat ? "to " : "") + event.revision);
    yield event;
    if (asked.length === 1 && ${isCut}) fail("UNAVAILABLE", "cut");
  }
};
server.add(OrderService, ordersHandlers({ watchOrders: serving }));
using orders = createClient(OrderService, "127.0.0.1:" + (await server.listen("127.0.0.1:0")));
process.on("exit", () => {
  if (said() !== expected) throw new Error(said());
});
`;

const FILTERED_END = `${fedEnd('sent.at(-1) === "to 201"')}
const said = () => asked + ": " + sent;
const expected = "0,201: to 1,to 101,to 201,to 202,251";
add(250, "c-2");
const events = orders.watchOrders({ customerId: "c-1" });
const first = events.next();
for (let tries = 0; asked.length < 2 && tries < 1_000; tries += 1) await new Promise((wake) => setTimeout(wake, 5));
add(1, "c-1");
if ((await first).value?.revision !== 251n) throw new Error("got another one");
await events.return();
await server.drain({ timeoutMs: 1 });
`;

const DROPPING_END = `${fedEnd("false")}
const got: bigint[] = [];
const said = () => (asked.length > 1 ? "again: " : "") + got;
const expected = "again: " + Array.from({ length: 51 }, (_, at) => at + 1);
add(1, "c-1");
for await (const { revision } of orders.watchOrders({})) {
  got.push(revision);
  if (revision === 1n) add(50, "c-1"); // at once: more than may stay unread
  if (revision === 51n) break;
}
await server.drain({ timeoutMs: 1 });
`;

/** What stands around each block of a page, in the order of the page. */
const PAGES: Record<string, readonly (readonly [before: string, after: string])[]> = {
  "docs/authentication.md": [
    [SERVED, ""],
    [AUTHENTICATED, AUTHENTICATED_END],
    [WITH_TOKENS, WITH_TOKENS_END],
    [USERS, ""],
    [USERS, ISSUED_END],
  ],
  "docs/broadcast.md": [
    [COMING_BACK, COMING_BACK_END],
    [FED.replace("SLOWNESS", "1_000"), FILTERED_END],
    [FED.replace("SLOWNESS", "10"), DROPPING_END],
  ],
  "docs/calls.md": [
    ...[CALLS, CALLS, CALLS, CALLS, CALLS, CALLS, CALLS, CALLS, CALLS].map((before) => [before, ""] as const),
    [OBSERVED, OBSERVED_END],
  ],
  "docs/errors.md": [
    ["", ""],
    [REFUSED, REFUSED_END],
    [OWN_DETAIL, OWN_DETAIL_END],
    ["", ""],
  ],
  "docs/health.md": [
    [CHECKED, CHECKED_END],
    [DRAINED, DRAINED_END],
  ],
  "docs/limits.md": [
    [LIMITED, LIMITED_END],
    [SHARED_LIMITS, LIMITED_END],
    [MATTERING, MATTERING_END],
    [CROWDED, CROWDED_END],
    [LIMITED_NICE, ""],
  ],
  "docs/nice-grpc.md": [[KEYED, KEYED_END]],
  "docs/resume.md": [
    [WATCHED, WATCHED_END],
    [ENDING, ENDING_END],
    [LISTED, LISTED_END],
    [EXPIRED, EXPIRED_END],
    [HANDED_ON, HANDED_ON_END],
    ['import { createClientFactory, createServer } from "nice-grpc";\n', ""],
  ],
  "docs/validation.md": [
    ["", ""],
    [VALIDATED, VALIDATED_END],
    ['import { OrderService } from "./gen/shop/orders/v1/orders.contract.ts";\n', ""],
  ],
};

/** Where an example of a page lies in the project. */
const fileOf = (page: string, n: number) => `${page.slice(5, -3)}-${n + 1}.ts`;

/** Examples that are no programs as they stand. */
const blocks = (page: string) => blocksOf(page).filter(({ language, file }) => language === "ts" && !file);
const snippets = Object.entries(PAGES).flatMap(([page, around]) =>
  blocks(page).map(({ text }, n) => {
    const [before, after] = around[n] ?? ["", ""];
    return { file: fileOf(page, n), text: before + text + after };
  }),
);
const project = userProject("snippets", snippets);

test("every example of the pages has what it takes for granted", () => {
  const counts = Object.entries(PAGES).map(([page, around]) => [page, around.length]);
  expect(counts).toEqual(Object.keys(PAGES).map((page) => [page, blocks(page).length]));
});

test("the examples type-check", () => {
  const lenient = ["--noUnusedLocals", "false"];
  expect(run("tsc", ["-p", ".", ...lenient], { cwd: project })).toEqual({ status: 0, stdout: "", stderr: "" });
});

test.each(Object.entries(PAGES))("the examples of %s run", (page, around) => {
  const files = around.map((_, n) => fileOf(page, n));
  const { status, stderr } = runInOrder(project, files);
  expect({ status, stderr }).toEqual({ status: 0, stderr: "" });
});
