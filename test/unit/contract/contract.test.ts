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

/** The shop's definition; WatchOrders' messages have more fields. */
function definitionWith(more: object) {
  const { watchOrders } = OrderServiceDefinition.methods;
  const extend = (type: { encode: unknown; decode: unknown; fromPartial(object: object): object }) => ({
    ...type,
    fromPartial: (object: object) => ({ ...type.fromPartial(object), ...more }),
  });
  const types = { requestType: extend(watchOrders.requestType), responseType: extend(watchOrders.responseType) };
  const methods = { ...OrderServiceDefinition.methods, watchOrders: { ...watchOrders, ...types } };
  return { ...OrderServiceDefinition, methods };
}

describe("contract", () => {
  test("is named as its service, and keeps what it is given", () => {
    const heartbeats = { watchOrders: { field: "beat" } };
    const batches = {};
    const given = { ...init, definition: definitionWith({ beat: false }), heartbeats, batches } as never as typeof init;
    expect(contract(given)).toEqual({ name: "shop.orders.v1.OrderService", ...given });
  });

  test("of an older generated file, which has neither heartbeats nor batches, has none", () => {
    const { heartbeats, batches } = contract(init);
    expect({ heartbeats, batches }).toEqual({ heartbeats: {}, batches: {} });
    expect([heartbeats?.toString, batches?.toString]).toEqual([undefined, undefined]);
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
          "  cursors.watchOrders.cursorField: ts-proto's message has no field constructor, only revision, order, eventTime, heartbeat: give protoc-gen-bowline the same snakeToCamel as ts-proto",
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

  const resume = { requestField: "after_revision", cursorField: "revision" };

  test.each([
    ["true", { moved: true }, "a bool that is false by default; in an empty message moved is true"],
    ["a text", { moved: "" }, 'a bool that is false by default; in an empty message moved is ""'],
    ["a message", { moved: {} }, "a bool that is false by default; in an empty message moved is an object"],
    ["a number", { moved: 0n }, "a bool that is false by default; in an empty message moved is 0"],
  ])("refuses a mark that is %s", (_, fields, problem) => {
    const cursors = { watchOrders: { ...init.cursors.watchOrders, progressField: "moved" } };
    const heartbeats = { watchOrders: { field: "moved" } };
    expect(() => contract({ ...init, definition: definitionWith(fields), cursors, heartbeats } as never)).toThrow(
      new TypeError(
        [
          "contract of shop.orders.v1.OrderService: 2 problem(s)",
          `  cursors.watchOrders.progressField: must be ${problem}`,
          `  heartbeats.watchOrders.field: must be ${problem}`,
        ].join("\n"),
      ),
    );
  });

  test.each([
    ["a bool", { most: false }, "false"],
    ["a text", { most: "ten" }, '"ten"'],
    ["a list", { most: [] }, "an object"],
  ])("refuses a limit that is %s", (_, fields, shown) => {
    const cursors = { watchOrders: { ...init.cursors.watchOrders, limitField: "most" } };
    expect(() => contract({ ...init, definition: definitionWith(fields), cursors } as never)).toThrow(
      `  cursors.watchOrders.limitField: must be an integer; in an empty message most is ${shown}`,
    );
  });

  test.each([[0], [0n], ["0"], [10], [undefined], [{ low: 0, toString: () => "0" }]])("takes a limit of %s", (most) => {
    const cursors = { watchOrders: { ...init.cursors.watchOrders, limitField: "most", progressField: "moved" } };
    const definition = definitionWith({ most, moved: undefined });
    expect(contract({ ...init, definition, cursors } as never).cursors.watchOrders?.limitField).toBe("most");
  });

  test("tells which fields of a stream are missing, and which are there and looked at by nobody", () => {
    const names = { progressField: "moved", limitField: "most" };
    const bad = {
      ...init,
      methods: {
        watchOrders: { resume: { ...resume, ...names }, heartbeat: { field: "beat" } },
        listOrders: { resume, heartbeat: { field: "" } },
        getOrder: { resume: { requestField: "", progressField: 1 } },
      },
      cursors: { ...init.cursors, toString: undefined },
      heartbeats: { dropOrder: { field: "beat" }, quoteBaskets: { field: "beat" }, gone: undefined },
    };
    const methods = "createOrder, getOrder, listOrders, watchOrders, importOrders, quoteBaskets";
    expect(() => contract(bad as never)).toThrow(
      new TypeError(
        [
          "contract of shop.orders.v1.OrderService: 13 problem(s)",
          '  methods.listOrders.heartbeat.field: must name a field; it is ""',
          "  methods.getOrder.resume: resume on a unary method: only a server-stream can be resumed",
          '  methods.getOrder.resume.requestField: must name a field; it is ""',
          "  methods.getOrder.resume.cursorField: must name a field; it is undefined",
          "  methods.getOrder.resume.progressField: must name a field; it is 1",
          "  cursors.getOrder: is missing: the method resumes",
          "  cursors.listOrders: is missing: the method resumes",
          "  heartbeats.listOrders: is missing: the method has heartbeats",
          "  cursors.watchOrders.progressField: is missing: resume names moved",
          "  cursors.watchOrders.limitField: is missing: resume names most",
          "  heartbeats.watchOrders: is missing: the method has heartbeats",
          "  heartbeats.quoteBaskets.field: ts-proto's message has no field beat, only totalCents: give protoc-gen-bowline the same snakeToCamel as ts-proto",
          `  heartbeats.dropOrder: no such method; ts-proto's definition has ${methods}`,
        ].join("\n"),
      ),
    );
  });

  test("tells fields of cursors that ts-proto's messages do not have, and one that is for two", () => {
    const absent = { progressField: "moved", limitField: "most" };
    const twice = { ...init.cursors.watchOrders, limitField: "afterRevision" };
    expect(() => contract({ ...init, cursors: { watchOrders: { ...twice, ...absent } } } as never)).toThrow(
      /cursors\.watchOrders\.progressField: ts-proto's message has no field moved, only revision, .*\n {2}cursors\.watchOrders\.limitField: ts-proto's message has no field most, only customerId, afterRevision:/,
    );
    expect(() => contract({ ...init, cursors: { watchOrders: twice } } as never)).toThrow(
      "cursors.watchOrders.limitField: is requestField too, afterRevision: a limit has a field of its own",
    );
  });

  test("is typed: fields are named by texts, and there are no others", () => {
    const limit = { ...init.cursors.watchOrders, limitField: 5 };
    const wrong = () => [
      // @ts-expect-error: a field is named
      contract({ ...init, heartbeats: { watchOrders: {} } }),
      // @ts-expect-error: by a text
      contract({ ...init, heartbeats: { watchOrders: { field: true } } }),
      // @ts-expect-error: a limit's too
      contract({ ...init, cursors: { watchOrders: limit } }),
      // @ts-expect-error: a duration has its unit in its name
      contract({ ...init, methods: { watchOrders: { heartbeat: { field: "beat", interval: 5_000 } } } }),
      // @ts-expect-error: resume needs to know where the position goes
      contract({ ...init, methods: { watchOrders: { resume: { cursorField: "revision" } } } }),
      // @ts-expect-error: there is no such jitter
      contract({ ...init, methods: { watchOrders: { resume: { ...resume, jitter: "some" } } } }),
    ];
    expect(wrong).toThrow(TypeError);
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

describe("batches of a contract", () => {
  const { getOrder, createOrder } = OrderServiceDefinition.methods;
  const list = (field: string) => ({ ...getOrder.requestType, fromPartial: () => ({ [field]: [], total: 0 }) });
  const many = { ...getOrder, name: "GetOrders", requestType: list("requests"), responseType: list("entries") };
  const definition = { ...OrderServiceDefinition, methods: { getOrder, createOrder, getOrders: many } };
  const policy = { method: "GetOrders", requestsField: "requests", responsesField: "entries", responseField: "order" };
  const access = { method: "getOrders", requestsField: "requests", responsesField: "entries", responseField: "order" };
  const given = { ...init, definition, cursors: {}, methods: { getOrder: { batch: policy } } };

  const refusal = (more: object) => {
    try {
      contract({ ...given, batches: { getOrder: access }, ...more } as never);
    } catch (error) {
      return (error as Error).message.split("\n").slice(1);
    }
    return [];
  };

  test("are kept", () => {
    expect(refusal({})).toEqual([]);
    expect(contract({ ...given, batches: { getOrder: access } } as never).batches?.getOrder).toEqual(access);
  });

  test("name a method that fits, and are named completely", () => {
    const methods = {
      getOrder: { batch: { ...policy, method: "GetAll", requestsField: "", statusField: 1 } },
      createOrder: { batch: { ...policy, method: "CreateOrder" } },
    };
    expect(refusal({ methods, batches: {} })).toEqual([
      '  methods.getOrder.batch.requestsField: must name a field; it is ""',
      "  methods.getOrder.batch.statusField: must name a field; it is 1",
      "  methods.getOrder.batch.method: the service has no method GetAll; it has GetOrder, CreateOrder, GetOrders",
      "  methods.createOrder.batch.method: CreateOrder is the method itself: name the one that takes many",
      "  batches.getOrder: is missing: the method is batched",
      "  batches.createOrder: is missing: the method is batched",
    ]);
  });

  test("are refused with what goes against another method's policy", () => {
    const methods = { getOrder: { batch: policy }, getOrders: { batch: { ...policy, method: "GetOrder" } } };
    expect(refusal({ methods, batches: { getOrder: access, getOrders: { ...access, method: "getOrder" } } })).toEqual([
      "  methods.getOrder.batch.method: GetOrders is batched itself: name the method that its calls become parts of",
      "  methods.getOrders.batch.method: GetOrder is batched itself: name the method that its calls become parts of",
      "  batches.getOrders.requestsField: ts-proto's message has no field requests, only orderId: give protoc-gen-bowline the same snakeToCamel as ts-proto",
      expect.stringMatching(
        /^ {2}batches\.getOrders\.responsesField: ts-proto's message has no field entries, only orderId/,
      ),
    ]);
  });

  test.each<[object, string]>([
    [{ method: "createOrder" }, "method: must be the key of GetOrders; it is createOrder"],
    [{ method: "toString" }, "method: must be the key of GetOrders; it is toString"],
    [{ requestsField: "total" }, "requestsField: must be a list; in an empty message total is 0"],
    [{ responsesField: "total" }, "responsesField: must be a list; in an empty message total is 0"],
    [{ responseField: undefined }, "responseField: is missing: batch names order"],
  ])("are looked at as far as an empty message tells: %j", (more, problem) => {
    expect(refusal({ batches: { getOrder: { ...access, ...more } } })).toEqual([`  batches.getOrder.${problem}`]);
  });

  test("are for methods that there are", () => {
    expect(refusal({ batches: { getOrder: access, toString: access } })).toEqual([
      "  batches.toString: no such method; ts-proto's definition has getOrder, createOrder, getOrders",
    ]);
    expect(refusal({ methods: {}, batches: { getOrder: { ...access, method: "gone" } } })).toEqual([
      "  batches.getOrder.method: must be the key of a method; it is gone",
    ]);
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
