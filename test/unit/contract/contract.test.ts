import { describe, expect, test } from "vitest";
import { OrderServiceDefinition } from "../../../gen/shop/orders/v1/orders.ts";
import { type ContractInit, contract } from "../../../src/contract/contract.ts";
import { toMethod } from "../../../src/contract/definition.ts";

type Definition = typeof OrderServiceDefinition;

const init: ContractInit<Definition> = {
  definition: OrderServiceDefinition,
  service: { timeoutMs: 2_000 },
  methods: { getOrder: { timeoutMs: 300 } },
  cursors: {
    watchOrders: {
      type: "int64",
      requestField: "afterRevision",
      cursorField: "revision",
      read: (event) => event.revision,
      write: (request, cursor) => ({ ...request, afterRevision: cursor }),
    },
  },
  descriptors: () => "",
};

describe("contract", () => {
  test("is named as its service, and keeps what it is given", () => {
    expect(contract(init)).toEqual({ name: "shop.orders.v1.OrderService", ...init });
  });

  test("refuses what service and method say of a breaker if it does not go together", () => {
    const apart = {
      service: { breaker: { windowCalls: 10 } },
      methods: { getOrder: { breaker: { minimumCalls: 50 } } },
    };
    expect(() => contract({ ...init, ...apart })).toThrow(
      "methods.getOrder.breaker.minimumCalls: must not be greater than the calls of the window, 10",
    );
  });

  test("tells all problems at once, each with its path", () => {
    const bad = {
      ...init,
      service: { timeoutMs: 0, breaker: { failureRatio: 2 } },
      methods: {
        getOrder: { timeoutMs: -1, retry: { maxAttempts: 1 } },
        createOrder: { retry: {} },
        dropOrder: { timeoutMs: 5 },
        toString: { timeoutMs: 5 },
      },
      cursors: {
        watchOrders: { ...init.cursors.watchOrders, requestField: "after_revision", cursorField: "constructor" },
        dropOrder: init.cursors.watchOrders,
      },
    };
    expect(() => contract(bad as never)).toThrow(
      new TypeError(
        [
          "contract of shop.orders.v1.OrderService: 10 problem(s)",
          "  service.timeoutMs: must be greater than zero; it is 0 ms",
          "  service.breaker.failureRatio: must be a ratio above 0 and at most 1; it is 2",
          "  methods.getOrder.timeoutMs: must be greater than zero; it is -1 ms",
          "  methods.getOrder.retry.maxAttempts: must be a whole number of at least 2, the first attempt included; it is 1",
          "  methods.createOrder.retry: retry on a method that is not safe to repeat: set idempotency_level, or idempotency_key: {}",
          "  methods.dropOrder: no such method; ts-proto's definition has createOrder, getOrder, listOrders, watchOrders, importOrders, quoteBaskets",
          "  methods.toString: no such method; ts-proto's definition has createOrder, getOrder, listOrders, watchOrders, importOrders, quoteBaskets",
          "  cursors.watchOrders.requestField: ts-proto's message has no field after_revision, only customerId, afterRevision: give protoc-gen-bowline the same snakeToCamel as ts-proto",
          "  cursors.watchOrders.cursorField: ts-proto's message has no field constructor, only revision, order, eventTime: give protoc-gen-bowline the same snakeToCamel as ts-proto",
          "  cursors.dropOrder: no such method; ts-proto's definition has createOrder, getOrder, listOrders, watchOrders, importOrders, quoteBaskets",
        ].join("\n"),
      ),
    );
  });

  test("a service without methods has none to name", () => {
    const definition = { name: "Empty", fullName: "a.Empty", methods: {} };
    expect(() => contract({ ...init, definition, methods: { get: {} } } as never)).toThrow(
      "  methods.get: no such method; ts-proto's definition has none",
    );
  });

  test("what is left undefined says nothing", () => {
    const silent = { ...init, methods: { getOrder: undefined, gone: undefined }, cursors: { gone: undefined } };
    expect(contract(silent as never).name).toBe("shop.orders.v1.OrderService");
  });

  test("takes messages without fromPartial, whose fields cannot be checked", () => {
    const { watchOrders } = OrderServiceDefinition.methods;
    const bare = { encode: watchOrders.requestType.encode, decode: watchOrders.requestType.decode };
    const methods = { watchOrders: { ...watchOrders, requestType: bare, responseType: bare } };
    const definition = { ...OrderServiceDefinition, methods };
    const cursors = { watchOrders: { ...init.cursors.watchOrders, requestField: "whatever" } };
    expect(contract({ ...init, definition, methods: {}, cursors } as never).name).toBe("shop.orders.v1.OrderService");
  });
});

describe("toMethod", () => {
  const { methods } = OrderServiceDefinition;

  test.each([
    ["createOrder", "/shop.orders.v1.OrderService/CreateOrder", "unary", "UNKNOWN"],
    ["getOrder", "/shop.orders.v1.OrderService/GetOrder", "unary", "NO_SIDE_EFFECTS"],
    ["listOrders", "/shop.orders.v1.OrderService/ListOrders", "server-stream", "NO_SIDE_EFFECTS"],
    ["importOrders", "/shop.orders.v1.OrderService/ImportOrders", "client-stream", "UNKNOWN"],
    ["quoteBaskets", "/shop.orders.v1.OrderService/QuoteBaskets", "bidi", "UNKNOWN"],
  ] as const)("%s is %s, %s, %s", (key, path, kind, idempotency) => {
    const method = toMethod(OrderServiceDefinition, methods[key]);
    expect(method).toMatchObject({ path, kind, idempotency, service: "shop.orders.v1.OrderService" });
    expect(method).toMatchObject({
      name: methods[key].name,
      requestStream: methods[key].requestStream,
      responseStream: methods[key].responseStream,
    });
  });

  test("encodes what the application wrote, fields left out included, and decodes it", () => {
    const { request } = toMethod(OrderServiceDefinition, methods.createOrder);
    const bytes = request.encode({ customerId: "c-1", items: [{ sku: "nut" }] });
    expect(request.decode(bytes)).toEqual({
      customerId: "c-1",
      items: [{ sku: "nut", quantity: 0, unitPriceCents: 0n }],
    });
  });

  test("encodes with a message type that has no fromPartial", () => {
    const { getOrder } = methods;
    const bare = { encode: getOrder.requestType.encode, decode: getOrder.requestType.decode };
    const { request } = toMethod(OrderServiceDefinition, { ...getOrder, requestType: bare });
    expect(request.decode(request.encode({ orderId: "o-1" }))).toEqual({ orderId: "o-1" });
  });
});
