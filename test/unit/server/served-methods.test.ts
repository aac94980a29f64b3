import { describe, expect, test, vi } from "vitest";
import { OrderServiceDefinition } from "../../../gen/shop/orders/v1/orders.ts";
import { contract } from "../../../src/contract/contract.ts";
import type { ServiceDefinition } from "../../../src/contract/definition.ts";
import { handlerProblems, servedMethods } from "../../../src/server/served-methods.ts";

/** A contract of these methods. */
function aContract(methods: ServiceDefinition["methods"]) {
  const definition = { name: "S", fullName: "a.S", methods };
  return contract({ definition, service: {}, methods: {}, cursors: {}, descriptors: () => "" });
}

const { getOrder, watchOrders } = OrderServiceDefinition.methods;
const three = aContract({ getOrder, putOrder: getOrder, listOrders: getOrder });
const all = "getOrder, putOrder, listOrders";

describe("handlerProblems", () => {
  const handlers = () => ({ getOrder: vi.fn(), putOrder: vi.fn(), listOrders: vi.fn() });
  const { listOrders: _, ...others } = handlers();

  test.each([
    ["every method has one", handlers(), []],
    ["two are missing", { putOrder: vi.fn(), getOrder: "no function" }, ["no handler for getOrder, listOrders"]],
    [
      "a name is misspelt",
      { ...others, listOders: vi.fn() },
      ["no handler for listOrders", `no method is called listOders: there are ${all}`],
    ],
    [
      "there are some too many",
      { ...handlers(), ListOrders: vi.fn(), close: vi.fn() },
      [`no method is called ListOrders, close: there are ${all}`],
    ],
    ["an object has values beside its functions", { ...handlers(), store: {}, name: "orders", size: 3 }, []],
    ["a class has functions for itself", new (class extends Object {})(), [`no handler for ${all}`]],
    ["an instance has functions of its own", Object.assign(new (class {})(), handlers(), { close: vi.fn() }), []],
    ["a module exports others", Object.assign(Object.create(null), handlers(), { close: vi.fn() }), []],
    ["a class has them as statics", Object.assign(class {}, handlers(), { close: vi.fn() }), []],
    ["there are none", undefined, ["the handlers must be an object; they are undefined"]],
    ["there is a text", "handlers", ['the handlers must be an object; they are "handlers"']],
  ])("where %s", (_, given, problems) => {
    expect(handlerProblems(three, given)).toEqual(problems);
  });

  test.each(["constructor", "toString", "hasOwnProperty"])("does not take what every object has for %s", (key) => {
    const named = aContract({ [key]: getOrder });
    const missing = [`no handler for ${key}`];
    expect(handlerProblems(named, {})).toEqual(missing);
    expect(handlerProblems(named, new (class {})())).toEqual(missing);
    expect(handlerProblems(named, { [key]: () => "served" })).toEqual([]);
  });
});

describe("servedMethods", () => {
  test("calls handlers that have a name which every object has", () => {
    const [served] = servedMethods(aContract({ toString: getOrder }), { toString: () => "served" });
    expect(served?.handler("request", {} as never)).toBe("served");
  });

  test("calls handlers with their object as this", () => {
    class Orders {
      readonly store = "store";
      getOrder() {
        return this.store;
      }
    }
    const [served] = servedMethods(three, new Orders());
    expect(served?.handler("request", {} as never)).toBe("store");
  });

  test.each<[string, string, unknown]>([
    ["nothing", "undefined", undefined],
    ["null", "null", null],
    ["a message", "[object Object]", {}],
    ["an array", "1,2", [1, 2]],
    ["a promise", "a promise", Promise.resolve([])],
  ])("says of a stream's handler that returns %s what one returns", (_, shown, answer) => {
    const [served] = servedMethods(aContract({ watchOrders }), { watchOrders: () => answer });
    const what = "the handler of a stream returns an AsyncIterable, as an async generator (async function*) does";
    const message = `/a.S/WatchOrders: ${what}; it returned ${shown}`;
    expect(() => served?.handler({}, {} as never)).toThrow(new TypeError(message));
  });
});
