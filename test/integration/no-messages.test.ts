import { Status } from "bowline";
import { memoryIdempotency } from "bowline/server";
import { describe, expect, test, vi } from "vitest";
import { connectOrders, rejection, serveOrders, serveOrdersOnNice } from "../support/orders.ts";

const servers = [
  ["createServer", serveOrders],
  ["serverMiddleware", serveOrdersOnNice],
] as const;

const values: [string, unknown][] = [
  ["undefined", undefined],
  ["null", null],
  ["a number", 42],
  ["a string", "o-1"],
];

const PATH = "/shop.orders.v1.OrderService";

describe.each(servers)("over %s", (_server, serve) => {
  async function serving(value: unknown) {
    const onError = vi.fn();
    const answer = async () => value as never;
    const { port } = await serve(
      {
        getOrder: answer,
        createOrder: answer,
        importOrders: answer,
        async *listOrders() {
          yield { orderId: "o-1" };
          yield value as never;
        },
      },
      { onError, idempotency: { store: memoryIdempotency() } },
    );
    const told = () => onError.mock.calls.map(([error]) => String(error));
    return { orders: connectOrders(port), told };
  }

  test.each(values)("a handler that returns %s fails, and its operator is told", async (what, value) => {
    const { orders, told } = await serving(value);
    const internal = { code: Status.INTERNAL, details: "internal error" };
    expect(await rejection(orders.getOrder({}, { timeoutMs: 5_000 }))).toMatchObject(internal);
    expect(await rejection(orders.createOrder({}, { timeoutMs: 5_000 }))).toMatchObject(internal);
    expect(await rejection(orders.importOrders((async function* () {})(), { timeoutMs: 5_000 }))).toMatchObject(
      internal,
    );
    const returned = (method: string) =>
      `TypeError: the handler of ${PATH}/${method}, or a middleware around it, returned ${what}, not a message`;
    expect(told()).toEqual(["GetOrder", "CreateOrder", "ImportOrders"].map(returned));
  });

  test.each(values)("a stream that yields %s ends there", async (what, value) => {
    const { orders, told } = await serving(value);
    const stream = orders.listOrders({}, { timeoutMs: 5_000 });
    const first = await stream.next();
    expect(first.value).toMatchObject({ orderId: "o-1" });
    expect(await rejection(stream.next())).toMatchObject({ code: Status.INTERNAL, details: "internal error" });
    expect(told()).toEqual([
      `TypeError: the handler of ${PATH}/ListOrders, or a middleware around it, yielded ${what}, not a message`,
    ]);
  });
});
