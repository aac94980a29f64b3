import { fail } from "bowline";
import { describe, expect, test } from "vitest";
import type { OrderServiceHandlers } from "../../gen/shop/orders/v1/orders.contract.ts";
import { serveOrders } from "../support/orders.ts";
import { hasTool, runBeside } from "../support/tools.ts";

const grpcurl = {
  name: "grpcurl",
  install: "go install github.com/fullstorydev/grpcurl/cmd/grpcurl@v1.9.3",
};

const handlers: Partial<OrderServiceHandlers> = {
  getOrder: async ({ orderId }) =>
    orderId === "none" ? fail("NOT_FOUND", "no such order") : { orderId, status: 2, totalCents: 1_999n },
  async *listOrders({ limit }) {
    for (let index = 1; index <= limit; index += 1) yield { orderId: `o-${index}` };
  },
};

describe.skipIf(!hasTool(grpcurl))("grpcurl, through reflection alone", () => {
  const call = async (port: number, ...args: string[]) => {
    const flags = args.filter((arg) => arg.startsWith("-") || arg.startsWith("{"));
    const words = args.filter((arg) => !flags.includes(arg));
    return runBeside("grpcurl", ["-plaintext", ...flags, `127.0.0.1:${port}`, ...words]);
  };

  test("lists services and methods", async () => {
    const { port } = await serveOrders(handlers);
    expect((await call(port, "list")).trim().split("\n")).toEqual([
      "grpc.health.v1.Health",
      "grpc.reflection.v1.ServerReflection",
      "grpc.reflection.v1alpha.ServerReflection",
      "shop.orders.v1.OrderService",
    ]);
    expect(await call(port, "list", "shop.orders.v1.OrderService")).toContain(
      "shop.orders.v1.OrderService.WatchOrders",
    );
  });

  test.each([
    [
      "shop.orders.v1.OrderService",
      "rpc GetOrder ( .shop.orders.v1.GetOrderRequest ) returns ( .shop.orders.v1.Order )",
    ],
    ["shop.orders.v1.OrderService.GetOrder", "idempotency_level = NO_SIDE_EFFECTS"],
    ["shop.orders.v1.OrderService.GetOrder", "(.bowline.v1.method)"],
    ["shop.orders.v1.Order", "repeated .shop.orders.v1.OrderItem items = 4;"],
    ["shop.orders.v1.OrderStatus", "ORDER_STATUS_PAID = 2;"],
    ["google.protobuf.Timestamp", "int64 seconds = 1;"],
    ["bowline.v1.MethodPolicy", ".google.protobuf.Duration timeout = 1;"],
    ["bowline.v1.method", "extend .google.protobuf.MethodOptions"],
    ["grpc.health.v1.Health", "rpc Watch"],
  ])("describes %s", async (symbol, text) => {
    const { port } = await serveOrders(handlers);
    expect(await call(port, "describe", symbol)).toContain(text);
  });

  test("calls a unary method and a stream", async () => {
    const { port } = await serveOrders(handlers);
    const order = await call(port, "-d", '{"order_id":"o-1"}', "shop.orders.v1.OrderService/GetOrder");
    expect(JSON.parse(order)).toEqual({ orderId: "o-1", status: "ORDER_STATUS_PAID", totalCents: "1999" });
    const listed = await call(port, "-d", '{"limit":3}', "shop.orders.v1.OrderService/ListOrders");
    expect(listed.match(/o-\d/g)).toEqual(["o-1", "o-2", "o-3"]);
    const health = await call(port, "grpc.health.v1.Health/Check");
    expect(JSON.parse(health)).toEqual({ status: "SERVING" });
  });

  test("shows what a server refuses", async () => {
    const { port } = await serveOrders(handlers);
    const refused = call(port, "-d", '{"order_id":"none"}', "shop.orders.v1.OrderService/GetOrder");
    await expect(refused).rejects.toThrow(/Code: NotFound\s+Message: no such order/);
    await expect(call(port, "describe", "shop.orders.v1.Nothing")).rejects.toThrow(/Nothing/);
  });

  test("shows the details of an error as what they say", async () => {
    const violations = { fieldViolations: [{ field: "order_id", description: "is no order's" }] };
    const getOrder = () =>
      fail("INVALID_ARGUMENT", "no order", { statusDetails: [{ $type: "google.rpc.BadRequest", ...violations }] });
    const { port } = await serveOrders({ ...handlers, getOrder: async () => getOrder() });
    const refused = call(port, "-d", "{}", "shop.orders.v1.OrderService/GetOrder");
    await expect(refused).rejects.toThrow(/"field": "order_id",\s+"description": "is no order's"/);
  });
});

describe("buf curl, which npm has everywhere, through reflection alone", () => {
  const call = (port: number, path: string, ...args: string[]) =>
    runBeside("buf", [
      "curl",
      "--protocol",
      "grpc",
      "--http2-prior-knowledge",
      ...args,
      `http://127.0.0.1:${port}${path}`,
    ]);

  test.each(["grpc-v1", "grpc-v1alpha"])("works over reflection %s", async (protocol) => {
    const { port } = await serveOrders(handlers);
    const flags = ["--reflect-protocol", protocol];
    expect(await call(port, "", "--list-methods", ...flags)).toContain("shop.orders.v1.OrderService/GetOrder");
    const order = await call(port, "/shop.orders.v1.OrderService/GetOrder", "-d", '{"orderId":"o-1"}', ...flags);
    expect(JSON.parse(order)).toMatchObject({ orderId: "o-1", totalCents: "1999" });
    const listed = await call(port, "/shop.orders.v1.OrderService/ListOrders", "-d", '{"limit":3}', ...flags);
    expect(listed.match(/o-\d/g)).toEqual(["o-1", "o-2", "o-3"]);
  });
});
