import { cache, coalesce } from "bowline";
import { describe, expect, test } from "vitest";
import { OrderServiceDefinition } from "../../gen/shop/orders/v1/orders.ts";
import { connectNice, serveNice } from "../support/nice-alone.ts";
import { gate } from "../support/orders.ts";

const until = async (holds: () => boolean) => {
  while (!holds()) await new Promise((resolve) => setTimeout(resolve, 2));
};

async function counted() {
  const seen: string[] = [];
  const open = gate();
  const port = await serveNice({
    async getOrder({ orderId }) {
      seen.push(orderId ?? "");
      await open.promise;
      return { orderId };
    },
    async createOrder() {
      seen.push("created");
      return {};
    },
  });
  return { port, seen, open: () => open.resolve() };
}

describe("on nice-grpc alone", () => {
  test("calls for the same share one, and those that may have side effects go their own way", async () => {
    const { port, seen, open } = await counted();
    const orders = connectNice(port, coalesce(OrderServiceDefinition));
    const ask = (options = {}) => orders.getOrder({ orderId: "a" }, options);
    const calls = [ask(), ask(), ask({ partition: "b" })];
    await until(() => seen.length === 2);
    open();
    expect((await Promise.all(calls)).map(({ orderId }) => orderId)).toEqual(Array(3).fill("a"));
    await Promise.all([orders.createOrder({}), orders.createOrder({})]);
    expect(seen).toEqual(["a", "a", "created", "created"]);
  });

  test("an answer is kept, and given by the same partition alone, whatever stands below", async () => {
    const { port, seen, open } = await counted();
    open();
    const kept = cache(OrderServiceDefinition, { ttlMs: 60_000, partition: "ann" });
    const orders = connectNice(port, coalesce(OrderServiceDefinition), kept);
    const told: unknown[] = [];
    const onCached = ({ stale }: { stale: boolean }) => told.push(stale);
    const ask = (options = {}) => orders.getOrder({ orderId: "a" }, { ...options, onCached } as never);
    await ask();
    await ask();
    expect([seen.length, told]).toEqual([1, [false]]);
    await Promise.all([ask({ partition: "bob" }), ask({ partition: "eve" }), ask({ cache: false })]);
    expect([seen.length, told]).toEqual([4, [false]]);
  });
});

test.each<[string, () => unknown, string]>([
  ["no definition", () => coalesce(undefined as never), "coalesce: the first argument is no definition"],
  ["an unknown option", () => coalesce(OrderServiceDefinition, { ttl: 5 } as never), "there is no option ttl"],
  [
    "no ttl",
    () => cache(OrderServiceDefinition, {} as never),
    "cache: ttlMs is missing: say for how long an answer is fresh",
  ],
  ["a ttl of zero", () => cache(OrderServiceDefinition, { ttlMs: 0 }), "cache: ttlMs must be greater than zero"],
  [
    "all that is wrong at once",
    () => cache({} as never, { ttlMs: 1, maxEntries: 0, partition: 5 as never }),
    "must be a text; it is 5; maxEntries must be a whole number",
  ],
])("%s is refused", (_, make, problem) => {
  expect(make).toThrow(TypeError);
  expect(make).toThrow(problem);
});
