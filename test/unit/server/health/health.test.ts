import { getEventListeners } from "node:events";
import { describe, expect, test, vi } from "vitest";
import { OrderService } from "../../../../gen/shop/orders/v1/orders.contract.ts";
import type { CallContext } from "../../../../src/core/call-context.ts";
import { Health } from "../../../../src/server/health/health.ts";
import { healthHandlers } from "../../../../src/server/health/health-handlers.ts";

const turn = () => new Promise((resolve) => setImmediate(resolve));
const [SERVING, NOT_SERVING, SERVICE_UNKNOWN] = [{ status: 1 }, { status: 2 }, { status: 3 }];

describe("Health", () => {
  test("starts as a server that serves, and knows no service", () => {
    const health = new Health();
    expect([...health.list()]).toEqual([["", "SERVING"]]);
    expect(health.get("a.Service")).toBeUndefined();
  });

  test("says what it is told, until it is shut down", () => {
    const health = new Health();
    health.set("a.Service", "SERVING");
    health.set("b.Service", "NOT_SERVING");
    health.shutDown();
    health.set("a.Service", "SERVING");
    health.set("c.Service", "SERVING");
    expect([...health.list()]).toEqual([
      ["", "NOT_SERVING"],
      ["a.Service", "NOT_SERVING"],
      ["b.Service", "NOT_SERVING"],
    ]);
  });

  test("tells those who watch the service, once, and only of a change", async () => {
    const health = new Health();
    const { signal } = new AbortController();
    const [a, again, b] = [vi.fn(), vi.fn(), vi.fn()];
    void health.changed("a.Service", signal).then(a);
    void health.changed("a.Service", signal).then(again);
    void health.changed("b.Service", signal).then(b);
    health.set("a.Service", "SERVING");
    health.set("a.Service", "SERVING");
    await turn();
    expect([a, again, b].map(({ mock }) => mock.calls.length)).toEqual([1, 1, 0]);
    expect(getEventListeners(signal, "abort").length).toBe(1);
    health.set("", "NOT_SERVING");
    await turn();
    expect(b).not.toHaveBeenCalled();
  });

  test.each([
    ["before", true],
    ["later", false],
  ])("does not keep a watcher waiting whose signal aborts: %s", async (_, before) => {
    const health = new Health();
    const controller = new AbortController();
    const abort = () => controller.abort();
    for (const now of before ? [abort] : []) now();
    const changed = health.changed("a.Service", controller.signal);
    abort();
    await changed;
    expect(getEventListeners(controller.signal, "abort")).toEqual([]);
  });
});

test.each<[unknown, unknown, string]>([
  ["a.Service", "NOT SERVING", 'status must be "SERVING" or "NOT_SERVING"; it is "NOT SERVING"'],
  ["a.Service", "not_serving", 'status must be "SERVING" or "NOT_SERVING"; it is "not_serving"'],
  ["a.Service", false, 'status must be "SERVING" or "NOT_SERVING"; it is false'],
  ["a.Service", undefined, 'status must be "SERVING" or "NOT_SERVING"; it is undefined'],
  ["a.Service", 2, 'status must be "SERVING" or "NOT_SERVING"; it is 2'],
  [undefined, "SERVING", "service must be a text; it is undefined"],
  [
    OrderService,
    null,
    "service must be a text; it is [object Object]; " + 'status must be "SERVING" or "NOT_SERVING"; it is null',
  ],
])("health.set(%s, %s) is refused, and says nothing, in a drain too", (service, status, problems) => {
  const health = new Health();
  const set = () => health.set(service as never, status as never);
  expect(set).toThrow(new TypeError(`health.set: ${problems}`));
  expect([...health.list()]).toEqual([["", "SERVING"]]);
  health.shutDown();
  expect(set).toThrow(TypeError);
});

describe("the health service", () => {
  test("check: a service's status; an unknown one is NOT_FOUND", async () => {
    const health = new Health();
    const { check } = healthHandlers(health);
    health.set("a.Service", "NOT_SERVING");
    expect(await check({ service: "" })).toEqual(SERVING);
    expect(await check({ service: "a.Service" })).toEqual(NOT_SERVING);
    await expect(check({ service: "no.Service" })).rejects.toMatchObject({
      message: 'NOT_FOUND: unknown service "no.Service"',
    });
  });

  test("list: all of them, up to 100", async () => {
    const health = new Health();
    const { list } = healthHandlers(health);
    for (let service = 1; service < 100; service++) health.set(`s${service}`, "SERVING");
    const { statuses } = await list();
    expect(Object.keys(statuses).length).toBe(100);
    expect(statuses.s7).toEqual(SERVING);
    health.set("s100", "SERVING");
    await expect(list()).rejects.toMatchObject({ message: "RESOURCE_EXHAUSTED: more than 100 services" });
  });

  test("watch: the status now, then each change, until the call is over", async () => {
    const health = new Health();
    const controller = new AbortController();
    const context = { signal: controller.signal } as CallContext;
    const statuses = healthHandlers(health).watch({ service: "a.Service" }, context);
    expect(await statuses.next()).toEqual({ done: false, value: SERVICE_UNKNOWN });
    const change = statuses.next();
    health.set("a.Service", "SERVING");
    expect(await change).toEqual({ done: false, value: SERVING });
    health.set("a.Service", "NOT_SERVING");
    expect(await statuses.next()).toEqual({ done: false, value: NOT_SERVING });
    const end = statuses.next();
    controller.abort();
    expect(await end).toEqual({ done: true, value: undefined });
    expect(getEventListeners(controller.signal, "abort")).toEqual([]);
  });

  test("watch: what changed and changed back while nobody read is no change", async () => {
    const health = new Health();
    const controller = new AbortController();
    const context = { signal: controller.signal } as CallContext;
    const statuses = healthHandlers(health).watch({ service: "" }, context);
    await statuses.next();
    health.set("", "NOT_SERVING");
    health.set("", "SERVING");
    const next = statuses.next();
    await turn();
    controller.abort();
    expect(await next).toEqual({ done: true, value: undefined });
  });
});
