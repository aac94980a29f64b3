import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setImmediate } from "node:timers/promises";
import { createClient } from "bowline";
import { createServer } from "bowline/server";
import { protovalidate } from "bowline/validate";
import { createChannel, createClient as createNiceClient } from "nice-grpc";
import { expect, onTestFinished, test, vi } from "vitest";
import { OrderFeed } from "../../examples/shop/orders/feed.ts";
import { orderHandlers } from "../../examples/shop/orders/handlers.ts";
import { OrderStore } from "../../examples/shop/orders/store.ts";
import { userHandlers } from "../../examples/shop/users/handlers.ts";
import { UserStore } from "../../examples/shop/users/store.ts";
import { OrderService } from "../../gen/shop/orders/v1/orders.contract.ts";
import type { CreateOrderRequest, OrderItem } from "../../gen/shop/orders/v1/orders.ts";
import { OrderServiceDefinition, OrderStatus } from "../../gen/shop/orders/v1/orders.ts";
import { UserService } from "../../gen/shop/users/v1/users.contract.ts";

const item: OrderItem = { sku: "cleat", quantity: 2, unitPriceCents: 1_275n };

async function dataFolder(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), "bowline-shop-"));
  onTestFinished(() => rm(folder, { recursive: true, force: true }));
  return folder;
}

/** Both services on new data, in this process. */
async function shop() {
  const folder = await dataFolder();
  const userStore = new UserStore(folder);
  const orderStore = new OrderStore(folder);
  const usersServer = createServer({ drainOn: [], authenticate: false }).add(UserService, userHandlers(userStore));
  const users = createClient(UserService, `127.0.0.1:${await usersServer.listen("127.0.0.1:0")}`);
  const feed = new OrderFeed(orderStore);
  const ordersServer = createServer({
    drainOn: [],
    idempotency: orderStore.idempotency,
    validation: protovalidate(),
    authenticate: false,
  }).add(OrderService, orderHandlers(orderStore, feed, users));
  const ordersPort = await ordersServer.listen("127.0.0.1:0");
  const orders = createClient(OrderService, `127.0.0.1:${ordersPort}`);
  onTestFinished(async () => {
    orders[Symbol.dispose]();
    await ordersServer.drain();
    users[Symbol.dispose]();
    await usersServer.drain();
    feed.close();
    orderStore.close();
    userStore.close();
  });
  return { users, orders, ordersServer, ordersPort, orderStore };
}

async function* each<T>(...messages: T[]) {
  yield* messages;
}

test("the same 100 users and 1,000 orders are there on a first start, and what was added on the next", async () => {
  const [one, other] = [await dataFolder(), await dataFolder()];
  const [first, second] = [new OrderStore(one), new OrderStore(other)];
  expect([...first.list("")]).toHaveLength(1_000);
  expect([...first.list("")]).toEqual([...second.list("")]);
  expect(first.create({ customerId: "u-1", items: [item] }).orderId).toBe("o-1001");
  first.close();
  second.close();
  const again = new OrderStore(one);
  expect(again.get("o-1001")).toMatchObject({ customerId: "u-1", items: [item], totalCents: 2_550n });
  expect([...again.list("")]).toHaveLength(1_001);
  again.close();

  const users = new UserStore(one);
  expect([...users.list()]).toHaveLength(100);
  expect(users.create("New", "new@example.com")?.userId).toBe("u-101");
  users.close();
  const usersAgain = new UserStore(one);
  expect([...usersAgain.list()].at(-1)).toMatchObject({ userId: "u-101", name: "New" });
  usersAgain.close();
});

test("lists are in the order of ids, of one customer or of all, and end at the limit", async () => {
  const { users, orders } = await shop();
  const ids = (await Array.fromAsync(orders.listOrders({}))).map(({ orderId }) => orderId);
  expect(ids).toEqual(Array.from({ length: 1_000 }, (_, n) => `o-${n + 1}`));
  expect(await Array.fromAsync(orders.listOrders({ limit: 150 }))).toHaveLength(150);
  const own = await Array.fromAsync(orders.listOrders({ customerId: "u-7" }));
  expect(own).toHaveLength(10);
  expect(new Set(own.map(({ customerId }) => customerId))).toEqual(new Set(["u-7"]));
  expect(await Array.fromAsync(users.streamUsers({ limit: 3 }))).toMatchObject([
    { userId: "u-1" },
    { userId: "u-2" },
    { userId: "u-3" },
  ]);
});

test("what is not there is NOT_FOUND", async () => {
  const { users, orders } = await shop();
  for (const orderId of ["o-1001", "u-1", "", "o-1; DROP TABLE orders"])
    await expect(orders.getOrder({ orderId })).rejects.toMatchObject({ code: 5 });
  await expect(users.getUser({ userId: "u-101" })).rejects.toMatchObject({
    code: 5,
    details: 'there is no user "u-101"',
  });
});

test("an e-mail address belongs to one user", async () => {
  const { users } = await shop();
  const { userId } = await users.createUser({ name: "Nell", email: "nell@example.com" });
  expect(await users.getUser({ userId })).toMatchObject({ name: "Nell", email: "nell@example.com" });
  await expect(users.createUser({ name: "Other", email: "nell@example.com" })).rejects.toMatchObject({
    code: 6,
    details: "there is a user with the e-mail address nell@example.com",
  });
  await expect(users.createUser({ name: " ", email: "a@b" })).rejects.toMatchObject({ code: 3 });
  await expect(users.createUser({ name: "A", email: "nowhere" })).rejects.toMatchObject({ code: 3 });
});

const refused: [string, Partial<CreateOrderRequest>, number, string][] = [
  ["an unknown customer", { customerId: "u-999" }, 9, 'there is no customer "u-999"'],
  ["no items", { items: [] }, 3, "items must contain at least 1 item(s)"],
  [
    "no quantity",
    { items: [{ ...item, quantity: 0 }] },
    3,
    "items[0].quantity must be greater than or equal to 1 and less than or equal to 10000",
  ],
  [
    "two things wrong",
    { items: [item, { sku: "", quantity: 1, unitPriceCents: -1n }] },
    3,
    "items[1].sku must be at least 1 characters; items[1].unit_price_cents must be greater than or equal to 0 and less than or equal to 1000000000",
  ],
  ["too many items", { items: Array(101).fill(item) }, 3, "items must contain no more than 100 item(s)"],
];

test.each(refused)("an order with %s is refused, alone and in an import", async (_, change, code, details) => {
  const { orders } = await shop();
  const good: CreateOrderRequest = { customerId: "u-1", items: [item] };
  const bad = { ...good, ...change };
  await expect(orders.createOrder(bad)).rejects.toMatchObject({ code, details });
  // The import's constraints stand one level deeper.
  const imported = code === 3 ? details.replaceAll("items", "order.items") : details;
  const importing = orders.importOrders(each({ order: good }, { order: bad }));
  await expect(importing).rejects.toMatchObject({ code, details: imported });
  expect(await Array.fromAsync(orders.listOrders({}))).toHaveLength(1_000);
});

test("an import without an order, a basket that cannot be priced and a negative revision are refused", async () => {
  const { orders } = await shop();
  await expect(orders.importOrders(each({}))).rejects.toMatchObject({ code: 3, details: "order value is required" });
  await expect(Array.fromAsync(orders.quoteBaskets(each({ items: [] })))).rejects.toMatchObject({ code: 3 });
  await expect(Array.fromAsync(orders.watchOrders({ afterRevision: -1n }))).rejects.toMatchObject({ code: 3 });
});

test("a watcher sees what was and what comes, each event once, and nothing of others", async () => {
  const { orders, ordersServer } = await shop();
  const before = await Array.fromAsync(take(orders.watchOrders({ customerId: "u-7" }), 24));
  const revisions = before.map(({ revision }) => revision);
  expect(revisions).toEqual(revisions.toSorted((a, b) => Number(a - b)));
  expect(before[0]?.order?.status).toBe(OrderStatus.ORDER_STATUS_PENDING);

  const afterRevision = revisions.at(-1) ?? 0n;
  const watch = orders.watchOrders({ customerId: "u-7", afterRevision }, { retry: false });
  const next = watch.next();
  await orders.createOrder({ customerId: "u-8", items: [item] });
  const { orderId } = await orders.createOrder({ customerId: "u-7", items: [item] });
  expect((await next).value).toMatchObject({ order: { orderId, customerId: "u-7", totalCents: 2_550n } });
  const pending = watch.next();
  const drained = ordersServer.drain();
  await expect(pending).rejects.toMatchObject({ reason: "DRAINING" });
  expect(await drained).toEqual({ abandoned: 0 });
});

test("events that could not be read when they were committed are published at the next look", async () => {
  const store = new OrderStore(await dataFolder());
  const feed = new OrderFeed(store);
  const error = vi.spyOn(console, "error").mockReturnValue();
  onTestFinished(() => {
    feed.close();
    store.close();
    error.mockRestore();
  });
  const watch = feed.events.subscribe();
  const next = watch.next();
  vi.spyOn(store, "eventsAfter").mockImplementationOnce(() => {
    throw new Error("database is locked");
  });
  store.create({ customerId: "u-7", items: [item] });
  expect(error).toHaveBeenCalledOnce();
  expect((await next).value?.order?.customerId).toBe("u-7");
  await watch.return();
});

test("a customer's watcher is told how far the others' events have come, never past one of its own", async () => {
  const { orders, ordersPort, orderStore } = await shop();
  const channel = createChannel(`127.0.0.1:${ordersPort}`);
  onTestFinished(() => channel.close());
  const bare = createNiceClient(OrderServiceDefinition, channel);
  const afterRevision = orderStore.lastRevision();
  const watch = orders.watchOrders({ customerId: "u-7", afterRevision });
  const first = watch.next();
  const wire = bare.watchOrders({ customerId: "u-7", afterRevision })[Symbol.asyncIterator]();
  const opened = wire.next();

  // In bursts; after some comes an event of the customer's own, once right behind a heartbeat.
  for (const others of [1, 99, 250, 3, 400]) {
    orderStore.createAll(Array.from({ length: others }, () => ({ customerId: "u-8", items: [item] })));
    if (others < 10) orderStore.create({ customerId: "u-7", items: [item] });
    await setImmediate();
  }
  const own = orderStore.eventsAfter(afterRevision, "u-7").map(({ revision }) => revision);
  const last = orderStore.lastRevision();
  const told: (readonly [isOwn: boolean, revision: bigint])[] = [];
  while ((told.at(-1)?.[1] ?? 0n) < last - 99n) {
    const { value: event } = await (told.length === 0 ? opened : wire.next());
    told.push([!event?.heartbeat, event?.revision ?? 0n]);
  }
  await wire.return?.();
  const revisions = told.map(([, revision]) => revision);
  expect(revisions).toEqual([...new Set(revisions)].toSorted((a, b) => Number(a - b)));
  expect(told.filter(([isOwn]) => isOwn).map(([, revision]) => revision)).toEqual(own);
  expect(told.length - own.length).toBe(8);

  expect([(await first).value?.revision, (await watch.next()).value?.revision]).toEqual(own);
  const pending = watch.next();
  await vi.waitFor(() => expect(watch.cursor).toBe(revisions.at(-1)));
  await watch.return();
  expect((await pending).done).toBe(true);
});

test("a revision that the database has not come to is refused, and does not wait for it in silence", async () => {
  const { orders, orderStore } = await shop();
  const ahead = { afterRevision: orderStore.lastRevision() + 1n };
  await expect(orders.watchOrders(ahead).next()).rejects.toMatchObject({
    ...{ reason: "CURSOR_EXPIRED", cursor: ahead.afterRevision },
    details: expect.stringMatching(/: there is no revision \d+$/),
  });
  const anew = orders.watchOrders(ahead, { onExpired: async () => ({ afterRevision: 0n }) });
  expect((await Array.fromAsync(take(anew, 3))).map(({ revision }) => revision)).toEqual([1n, 2n, 3n]);
  const newest = orders.watchOrders({ afterRevision: orderStore.lastRevision() });
  const next = newest.next();
  orderStore.create({ customerId: "u-8", items: [item] });
  expect((await next).value?.revision).toBe(ahead.afterRevision);
  await newest.return();
});

test("revisions grow by one with each event of the shop", async () => {
  const { orders } = await shop();
  const events = await Array.fromAsync(take(orders.watchOrders({}), 2_000));
  expect(events.map(({ revision }) => revision)).toEqual(Array.from({ length: 2_000 }, (_, n) => BigInt(n + 1)));
});

async function* take<T>(stream: AsyncIterable<T>, count: number) {
  let left = count;
  for await (const message of stream) {
    yield message;
    if (--left === 0) return;
  }
}
