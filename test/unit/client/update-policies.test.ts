import { clientMiddleware, closeClient, createClient, type Observer, updatePolicies } from "bowline";
import { describe, expect, onTestFinished, test } from "vitest";
import { OrderService } from "../../../gen/shop/orders/v1/orders.contract.ts";
import { contract } from "../../../src/contract/contract.ts";
import { itemsContract } from "../../support/batched-items.ts";

/** A client that has nobody to call. */
function aClient(observer?: Observer, of = OrderService) {
  const client = createClient(of, "127.0.0.1:1", observer ? { observer } : {});
  onTestFinished(() => closeClient(client));
  return client;
}

/** What is wrong with changes: each line of the error, but for the first. */
function problemsOf(changes: unknown, owner: object = aClient()): string[] {
  try {
    updatePolicies(owner, changes as never);
  } catch (error) {
    expect(error).toBeInstanceOf(TypeError);
    const [head, ...problems] = (error as TypeError).message.split("\n");
    expect(head).toMatch(`${problems.length} problem(s), and nothing is changed`);
    return problems.map((problem) => problem.trim());
  }
  return [];
}

const METHODS = "createOrder, getOrder, listOrders, watchOrders, importOrders, quoteBaskets";
const OF_METHODS = "timeoutMs, retry, hedge, breaker, bulkhead, coalesce, cache, criticality, resume, heartbeat, batch";
const OF_SERVICES = "timeoutMs, breaker, bulkhead, retryThrottling, retryBudget, adaptiveLimit, throttle, criticality";
const NOT_THERE = "is not in the contract, which alone can say what fields it goes by";
const STAYS = "cannot be taken away: its streams have messages that are for this client alone";

describe("what is wrong is said with its path", () => {
  test.each<[string, unknown, string]>([
    ["no object", 5, "the changes: must be a plain object; it is 5"],
    ["null", null, "the changes: must be a plain object; it is null"],
    ["a list", [], "the changes: must be a plain object; it is [object Array]"],
    ["a map", new Map([["service", {}]]), "the changes: must be a plain object; it is [object Map]"],
    ["a part that there is not", { methodz: {} }, "methodz: there is none of this name; there are service, methods"],
    ["null of a service", { service: null }, "service: must be an object; leave it out for what the contract says"],
    ["no object of a service", { service: 1 }, "service: must be a plain object; it is 1"],
    [
      "a method that there is not",
      { methods: { GetOrder: {} } },
      `methods.GetOrder: there is none of this name; there are ${METHODS}`,
    ],
    [
      "what every object has",
      { methods: { toString: {} } },
      `methods.toString: there is none of this name; there are ${METHODS}`,
    ],
    [
      "null of a method",
      { methods: { getOrder: null } },
      "methods.getOrder: must be an object: say null of each of its policies that is to be taken away",
    ],
    [
      "a policy that there is not",
      { methods: { getOrder: { retries: 3 } } },
      `methods.getOrder.retries: there is none of this name; there are ${OF_METHODS}`,
    ],
    [
      "a policy that both sides agree on",
      { methods: { createOrder: { idempotencyKey: {} } } },
      `methods.createOrder.idempotencyKey: there is none of this name; there are ${OF_METHODS}`,
    ],
    ...["auth", "rateLimit", "shed"].flatMap((name): [string, unknown, string][] => [
      [
        `a method's ${name}, which the server goes by`,
        { methods: { getOrder: { [name]: {} } } },
        `methods.getOrder.${name}: there is none of this name; there are ${OF_METHODS}`,
      ],
      [
        `a service's ${name}, which the server goes by`,
        { service: { [name]: {} } },
        `service.${name}: there is none of this name; there are ${OF_SERVICES}`,
      ],
    ]),
    [
      "a criticality that there is not",
      { service: { criticality: "low" } },
      "service.criticality: must be sheddable or sheddable_plus or critical or critical_plus; it is ",
    ],
    [
      "a number for a criticality",
      { methods: { getOrder: { criticality: 1 } } },
      "methods.getOrder.criticality: must be sheddable or sheddable_plus or critical or critical_plus; it is 1",
    ],
    [
      "a setting that there is not",
      { service: { retryBudget: { percent: 10 } } },
      "service.retryBudget.percent: there is none of this name; there are ratio, windowMs, minInFlight",
    ],
    ["a text for a number", { service: { timeoutMs: "5" } }, 'service.timeoutMs: must be a number; it is "5"'],
    ["NaN", { service: { timeoutMs: Number.NaN } }, "service.timeoutMs: must be a number; it is NaN"],
    ["Infinity", { service: { throttle: { k: 1 / 0 } } }, "service.throttle.k: must be a number; it is Infinity"],
    ["a bigint", { service: { timeoutMs: 5n } }, "service.timeoutMs: must be a number; it is 5"],
    [
      "an object without a prototype",
      { service: { timeoutMs: Object.create(null) } },
      "service.timeoutMs: must be a number; it is [object Object]",
    ],
    [
      "a mechanism that is switched off by false",
      { methods: { getOrder: { retry: false } } },
      "methods.getOrder.retry: must be a plain object; it is false",
    ],
    [
      "a status for a list of them",
      { methods: { getOrder: { retry: { codes: "UNAVAILABLE" } } } },
      'methods.getOrder.retry.codes: must be a list of statuses; it is "UNAVAILABLE"',
    ],
    [
      "a status that there is not",
      { methods: { getOrder: { retry: { codes: ["UNAVAILABLE", "DOWN"] } } } },
      'methods.getOrder.retry.codes.1: gRPC has no status "DOWN"',
    ],
    [
      "too few attempts",
      { methods: { getOrder: { retry: { maxAttempts: 1 } } } },
      "methods.getOrder.retry.maxAttempts: must be a whole number of at least 2, the first attempt included; it is 1",
    ],
    [
      "a breaker's words",
      { service: { breaker: { scope: "target", disabled: 0 } } },
      'service.breaker.scope: must be method or service; it is "target"',
    ],
    [
      "a scope of a method",
      { methods: { getOrder: { breaker: { scope: "service" } } } },
      "methods.getOrder.breaker.scope: there is none of this name; there are failureRatio,",
    ],
    [
      "something of a coalescing",
      { methods: { getOrder: { coalesce: { windowMs: 5 } } } },
      "methods.getOrder.coalesce.windowMs: there is none of this name; there are none",
    ],
    [
      "the resume of a stream that does not",
      { methods: { listOrders: { resume: {} } } },
      `methods.listOrders.resume: ${NOT_THERE}`,
    ],
    ["a batch where there is none", { methods: { getOrder: { batch: {} } } }, `methods.getOrder.batch: ${NOT_THERE}`],
    ["no resume", { methods: { watchOrders: { resume: null } } }, `methods.watchOrders.resume: ${STAYS}`],
    ["no heartbeat", { methods: { watchOrders: { heartbeat: null } } }, `methods.watchOrders.heartbeat: ${STAYS}`],
    [
      "another field",
      { methods: { watchOrders: { resume: { cursorField: "id" } } } },
      "methods.watchOrders.resume.cursorField: there is none of this name; there are initialBackoffMs,",
    ],
    [
      "retries where they are not safe",
      { methods: { importOrders: { retry: {} } } },
      "methods.importOrders.retry: retry on a method that is not safe to repeat: set idempotency_level, or",
    ],
    [
      "hedges beside the contract's retries",
      { methods: { getOrder: { hedge: {} } } },
      "methods.getOrder.hedge: retry and hedge exclude each other (gRFC A6): keep one of them",
    ],
    [
      "what does not go with what the service says",
      { service: { breaker: { trialTimeoutMs: 50 } } },
      "methods.getOrder.breaker.slowMs: must not be greater than the trial timeout, 50 ms; it is 75 ms",
    ],
    [
      "a cache without a time",
      { methods: { getOrder: { cache: { maxEntries: 5 } } } },
      "methods.getOrder.cache: cache has no ttl: say for how long an answer is fresh",
    ],
  ])("%s", (_, changes, problem) => {
    expect(problemsOf(changes)[0]).toContain(problem);
  });

  test("and all of it at once", () => {
    const service = { timeoutMs: 0, breaker: { failureRatio: 7, codes: [1, null] }, z: 1 };
    const getOrder = { retry: { maxAttempts: "3", initialBackoffMs: -1 }, hedge: {} };
    expect(problemsOf({ service, methods: { getOrder, none: {} } }).map((line) => line.split(":")[0])).toEqual([
      ...["service.breaker.codes", "service.z", "methods.getOrder.retry.maxAttempts", "methods.none"],
      ...["service.timeoutMs", "service.breaker.failureRatio"],
      ...["methods.getOrder.retry.initialBackoffMs", "methods.getOrder.hedge"],
    ]);
  });

  test("and nothing that only follows from a figure that is none", () => {
    const service = { bulkhead: { maxQueued: "5", maxWaitMs: 5 }, breaker: { windowCalls: "5", minimumCalls: 3 } };
    const getOrder = { cache: { ttlMs: "5" }, timeoutMs: "5", bulkhead: { maxWaitMs: 60_000 } };
    expect(problemsOf({ service, methods: { getOrder } })).toEqual([
      'service.bulkhead.maxQueued: must be a number; it is "5"',
      'service.breaker.windowCalls: must be a number; it is "5"',
      'methods.getOrder.cache.ttlMs: must be a number; it is "5"',
      'methods.getOrder.timeoutMs: must be a number; it is "5"',
    ]);
  });

  test("of a batch: settings can change, and it can be taken away", () => {
    const items = createClient(itemsContract(), "127.0.0.1:1");
    onTestFinished(() => closeClient(items));
    expect(problemsOf({ methods: { getItem: { batch: { maxSize: 5 } } } }, items)).toEqual([]);
    expect(problemsOf({ methods: { getItem: { batch: null, retry: {} } } }, items)).toEqual([]);
    expect(problemsOf({ methods: { getItem: { retry: {} } } }, items)).toEqual([
      "methods.getItem.retry: retry and batch exclude each other: a call in a batch makes no attempt of its own; say it of BatchGetItems",
    ]);
  });

  test("a method may have any name", () => {
    const { getOrder } = OrderService.definition.methods;
    const definition = { name: "S", fullName: "a.S", methods: { constructor: getOrder, toString: getOrder } };
    const odd = contract({ ...OrderService, definition, service: {}, methods: {}, cursors: {}, heartbeats: {} });
    const client = clientMiddleware(odd);
    expect(problemsOf({ methods: { constructor: { timeoutMs: 5 }, toString: { retry: {} } } }, client)).toEqual([]);
  });
});

test.each<[string, object]>([
  ["an object", {}],
  ["a contract", OrderService],
  ["nothing", undefined as never],
])("%s has no policies", (_, owner) => {
  const text = "updatePolicies: this is nothing that createClient or clientMiddleware made";
  expect(() => updatePolicies(owner)).toThrow(new TypeError(text));
});

test("an observer cannot update in the middle of an update, and can after it", () => {
  const said: string[] = [];
  const client = aClient(
    (event) => {
      if (event.type !== "policy") return;
      said.push(event.action);
      try {
        updatePolicies(client, { service: { timeoutMs: 70 } });
      } catch (error) {
        said.push(String(error));
      }
    },
    contract({ ...OrderService, service: { adaptiveLimit: {} } }),
  );
  updatePolicies(client, { service: { adaptiveLimit: { minLimit: 30, initialLimit: 30 } } });
  expect(said).toEqual([
    ...["changed", "TypeError: updatePolicies: another update of this client is under way"],
    // After the first one, its own, of which it is told too, and after which nothing is new.
    ...["updated", "updated"],
  ]);
});

test("a client that is closed can be updated, to no effect", () => {
  const client = aClient();
  closeClient(client);
  updatePolicies(client, { methods: { getOrder: { bulkhead: { maxConcurrent: 1 } } } });
});
