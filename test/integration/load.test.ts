import { closeClient, createClient, currentCall, type Observer, RpcError, Status } from "bowline";
import { createServer, memoryRateLimit, type RateLimitStore, type ServerOptions } from "bowline/server";
import { Metadata } from "nice-grpc-common";
import { describe, expect, onTestFinished, test, vi } from "vitest";
import { Health } from "../../gen/health/v1/health.contract.ts";
import { OrderService, type OrderServiceHandlers } from "../../gen/shop/orders/v1/orders.contract.ts";
import { contract } from "../../src/contract/contract.ts";
import type { MethodPolicy, ServicePolicy } from "../../src/contract/policy.ts";
import { pushbackOf } from "../../src/transport/pushback.ts";
import { connectOrders, gate, ordersHandlers, rejection, serveOrders, serveOrdersOnNice } from "../support/orders.ts";

const servers = [
  ["createServer", serveOrders],
  ["serverMiddleware on nice-grpc's server", serveOrdersOnNice],
] as const;

/** A machine that is busy with other tests is no load of the server's. */
const NO_LAG = { loopDelayMs: Number.POSITIVE_INFINITY };

/** What a refused call was told. */
async function refusalOf(call: Promise<unknown>) {
  const error = await rejection(call);
  expect(error).toBeInstanceOf(RpcError);
  const { code, reason, trailer } = error as RpcError;
  expect(code).toBe(Status.RESOURCE_EXHAUSTED);
  return { reason, pushbackMs: pushbackOf(trailer ?? new Metadata()) };
}

/** Handlers that wait until they are let go; one entry each. */
function held() {
  const runs: PromiseWithResolvers<void>[] = [];
  let began = gate();
  const getOrder: OrderServiceHandlers["getOrder"] = async () => {
    const run = gate();
    runs.push(run);
    began.resolve();
    began = gate();
    await run.promise;
    return {};
  };
  /** Waits until so many have begun. */
  const begun = async (count: number) => {
    while (runs.length < count) await began.promise;
  };
  const letGo = () => runs.forEach((run) => void run.resolve());
  return { getOrder, runs, begun, letGo };
}

describe.each(servers)("%s limits rates", (_, serve) => {
  test("of each method, and says when the next call may be made", async () => {
    const rateLimit = {
      calls: 2,
      perMs: 60_000,
      methods: { [`/${OrderService.name}/ListOrders`]: { calls: 1, perMs: 60_000 } },
    };
    const { port } = await serve({ getOrder: async () => ({}), async *listOrders() {} }, { rateLimit });
    const orders = connectOrders(port);
    await orders.getOrder({});
    await orders.getOrder({});
    const { reason, pushbackMs } = await refusalOf(orders.getOrder({}));
    expect(reason).toBe("RATE_LIMITED");
    expect(pushbackMs).toBeGreaterThan(20_000);
    expect(pushbackMs).toBeLessThanOrEqual(30_000);
    expect(await Array.fromAsync(orders.listOrders({}))).toEqual([]);
    expect(await refusalOf(Array.fromAsync(orders.listOrders({})))).toMatchObject({ reason: "RATE_LIMITED" });
  });

  test("so that a client which retries waits as long as it was told, and is served", async () => {
    const { port } = await serve(
      { getOrder: async () => ({ orderId: "o-1" }) },
      { rateLimit: { calls: 1, perMs: 300 } },
    );
    const retrying = contract({
      ...OrderService,
      methods: { getOrder: { retry: { codes: ["RESOURCE_EXHAUSTED"], initialBackoffMs: 1, maxBackoffMs: 1 } } },
    }) as typeof OrderService;
    const orders = connectOrders(port, {}, retrying);
    await orders.getOrder({});
    const since = performance.now();
    expect(await orders.getOrder({})).toMatchObject({ orderId: "o-1" });
    expect(performance.now() - since).toBeGreaterThan(200);
  });

  test("in a store that answers later, and goes on where it fails", async () => {
    const seen: unknown[] = [];
    const asked: string[] = [];
    let taken = 0;
    const store: RateLimitStore = {
      async take({ name }, key) {
        asked.push(`${name} ${key}`);
        taken += 1;
        if (taken === 3) throw new Error("the store is away");
        return taken === 2 ? 70 : 0;
      },
    };
    const options: ServerOptions = { rateLimit: { calls: 10, store }, onError: (error) => seen.push(error) };
    const { port } = await serve({ getOrder: async () => ({}), async *listOrders() {} }, options);
    const orders = connectOrders(port);
    await orders.getOrder({});
    expect(await refusalOf(Array.fromAsync(orders.listOrders({})))).toEqual({ reason: "RATE_LIMITED", pushbackMs: 70 });
    expect(await Array.fromAsync(orders.listOrders({}))).toEqual([]);
    expect(seen).toMatchObject([{ message: "the store is away" }]);
    expect(asked[0]).toBe(`/${OrderService.name}/GetOrder 10/1000/10 by identity peer:127.0.0.1`);
  });

  test("in a store that says nothing, no longer than the call's deadline and its client wait", async () => {
    const asked = gate();
    const running = new Set<number>();
    let runs = 0;
    const store: RateLimitStore = {
      take({ name }) {
        if (name.includes("ListOrders")) asked.resolve();
        return new Promise(() => {});
      },
    };
    const observer: Observer = (event) => {
      if (event.type === "served.started") running.add(event.id);
      if (event.type === "served.ended") running.delete(event.id);
    };
    const getOrder = async () => ({ orderId: `o-${++runs}` });
    const { port } = await serve({ getOrder }, { rateLimit: { calls: 10, store }, observer });
    const orders = connectOrders(port);
    const leaving = new AbortController();
    const left = rejection(Array.fromAsync(orders.listOrders({}, { signal: leaving.signal })));
    await asked.promise;
    leaving.abort();
    await left;
    expect(await rejection(orders.getOrder({}, { timeoutMs: 100 }))).toMatchObject({ code: Status.DEADLINE_EXCEEDED });
    await vi.waitFor(() => expect(running.size).toBe(0), 10_000);
    expect(runs).toBe(0);
  });

  test("and none where it is switched off", async () => {
    const store = { take: () => 1_000 };
    const limited = withPolicy({ rateLimit: { calls: 1 } });
    const { port } = await serve({ getOrder: async () => ({}) }, { rateLimit: false }, limited);
    await connectOrders(port).getOrder({});
    await connectOrders(port).getOrder({});
    const other = await serve({ getOrder: async () => ({}) }, { rateLimit: { store } }, limited);
    expect(await refusalOf(connectOrders(other.port).getOrder({}))).toMatchObject({ reason: "RATE_LIMITED" });
  });
});

describe.each(servers)("%s with a limit by contract and one by code", (_, serve) => {
  test("that are equal takes one token of one bucket", async () => {
    const limit = { calls: 1, perMs: 60_000 };
    const methods = { [`/${OrderService.name}/GetOrder`]: limit };
    const limited = withPolicy({}, { rateLimit: limit });
    const { port } = await serve({ getOrder: async () => ({}) }, { rateLimit: { methods } }, limited);
    const orders = connectOrders(port);
    await orders.getOrder({});
    expect(await refusalOf(orders.getOrder({}))).toMatchObject({ reason: "RATE_LIMITED" });
  });

  test("asks for the caller's own tokens before those that all share, so that nobody spends everybody's", async () => {
    const asked: string[] = [];
    const store: RateLimitStore = {
      take({ name }) {
        asked.push(name.split(" by ")[1] ?? "");
        return name.endsWith("by identity") && asked.length > 2 ? 70 : 0;
      },
    };
    const limited = withPolicy({}, { rateLimit: { calls: 100, key: "method" } });
    const { port } = await serve({ getOrder: async () => ({}) }, { rateLimit: { calls: 1, store } }, limited);
    const orders = connectOrders(port);
    await orders.getOrder({});
    await refusalOf(orders.getOrder({}));
    expect(asked).toEqual(["identity", "method", "identity"]);
  });
});

test("a caller who is over its own limit leaves the tokens that all share to the others", async () => {
  const limited = withPolicy({ auth: {} }, { rateLimit: { calls: 3, perMs: 3_600_000, key: "method" } });
  const { port } = await serveOrders(
    { getOrder: async () => ({}) },
    {
      authenticate: ({ metadata }) => ({ identity: { key: `token:k|${metadata.get("who")}`, source: "token" } }),
      rateLimit: { calls: 1, perMs: 3_600_000 },
    },
    limited,
  );
  const orders = connectOrders(port);
  const callAs = (who: string) => orders.getOrder({}, { metadata: { who } });
  const abuse = await Promise.allSettled(Array.from({ length: 20 }, () => callAs("abuser")));
  expect(abuse.filter(({ status }) => status === "fulfilled").length).toBe(1);
  await callAs("honest-1");
  await callAs("honest-2");
  expect(await refusalOf(callAs("honest-3"))).toMatchObject({ reason: "RATE_LIMITED" });
});

test("a peer is limited by its network where it has all addresses of it, and so is an identity that is a peer", async () => {
  const keys: string[] = [];
  const store: RateLimitStore = {
    take({ name }, key) {
      keys.push(`${name.split(" by ")[1]} ${key}`);
      return 0;
    },
  };
  const server = createServer({
    drainOn: [],
    idempotency: false,
    validation: false,
    authenticate: () => ({ identity: { key: "peer:2001:db8::7", source: "peer", scopes: [] } }),
    rateLimit: { calls: 1, key: "peer", store },
  });
  const limited = withPolicy({ auth: {} }, { rateLimit: { calls: 1 } });
  const port = await server.add(limited, ordersHandlers({ getOrder: async () => ({}) })).listen("[::1]:0");
  onTestFinished(async () => void (await server.drain({ timeoutMs: 1 })));
  const orders = createClient(limited, `[::1]:${port}`, { insecure: true });
  onTestFinished(() => closeClient(orders));
  await orders.getOrder({});
  expect(keys).toEqual(["identity peer:2001:db8:0:0::/64", "peer peer:0:0:0:0::/64"]);
});

/** The orders service with other policies. */
function withPolicy(service: ServicePolicy, getOrder: MethodPolicy = {}): typeof OrderService {
  return contract({ ...OrderService, service, methods: { getOrder } }) as typeof OrderService;
}

describe.each(servers)("%s sheds", (_, serve) => {
  test("what matters least first, and tells it not to come back", async () => {
    const { getOrder, begun, letGo } = held();
    const { port } = await serve({ getOrder }, { shed: { ...NO_LAG, maxConcurrent: 2 } });
    const orders = connectOrders(port);
    const first = orders.getOrder({}, { criticality: "sheddable" });
    await begun(1);
    const refused = await refusalOf(orders.getOrder({}, { criticality: "sheddable" }));
    expect(refused).toEqual({ reason: "SHED", pushbackMs: -1 });
    const second = orders.getOrder({});
    await begun(2);
    const { reason, pushbackMs } = await refusalOf(orders.getOrder({}));
    expect(reason).toBe("SHED");
    expect(pushbackMs).toBeGreaterThanOrEqual(100);
    expect(pushbackMs).toBeLessThanOrEqual(1_000);
    letGo();
    await Promise.all([first, second]);
    const third = orders.getOrder({});
    await begun(3);
    letGo();
    await third;
  });

  test("until a handler has ended, though its client has left", async () => {
    const { getOrder, begun, letGo } = held();
    const { port } = await serve({ getOrder }, { shed: { ...NO_LAG, maxConcurrent: 1 } });
    const orders = connectOrders(port);
    const leaving = new AbortController();
    const left = rejection(orders.getOrder({}, { signal: leaving.signal }));
    await begun(1);
    leaving.abort("gone");
    expect(await left).toBe("gone");
    expect(await refusalOf(orders.getOrder({}))).toMatchObject({ reason: "SHED" });
    letGo();
    const next = orders.getOrder({}, { timeoutMs: 5_000 });
    await begun(2);
    letGo();
    await next;
  });

  test("and lets some wait, out of whose places more critical calls push less critical ones", async () => {
    const { getOrder, begun, letGo } = held();
    const { port } = await serve({ getOrder }, { shed: { ...NO_LAG, maxConcurrent: 1, maxQueued: 1 } });
    const orders = connectOrders(port);
    const running = orders.getOrder({});
    await begun(1);
    const displaced = refusalOf(orders.getOrder({}, { criticality: "sheddable" }));
    const waiting = orders.getOrder({}, { criticality: "critical_plus" });
    expect(await displaced).toEqual({ reason: "SHED", pushbackMs: -1 });
    letGo();
    await running;
    await begun(2);
    letGo();
    await waiting;
  });

  test("whose wait is over, and never runs them", async () => {
    const { getOrder, runs, begun, letGo } = held();
    const { port } = await serve({ getOrder }, { shed: { ...NO_LAG, maxConcurrent: 1, maxQueued: 5, maxWaitMs: 50 } });
    const orders = connectOrders(port);
    const running = orders.getOrder({});
    await begun(1);
    const leaving = new AbortController();
    const left = rejection(orders.getOrder({}, { signal: leaving.signal }));
    const late = rejection(orders.getOrder({}, { timeoutMs: 20 }));
    leaving.abort("gone");
    expect(await left).toBe("gone");
    expect(await late).toMatchObject({ code: Status.DEADLINE_EXCEEDED });
    expect(await refusalOf(orders.getOrder({}))).toMatchObject({ reason: "SHED" });
    letGo();
    await running;
    expect(runs.length).toBe(1);
  });

  test("streams while they are opened, and not while they are open", async () => {
    const began = gate();
    const opened = gate();
    const { port } = await serve(
      {
        async *watchOrders() {
          began.resolve();
          await opened.promise;
          yield {};
          await new Promise(() => {});
        },
        getOrder: async () => ({}),
      },
      { shed: { ...NO_LAG, maxConcurrent: 1 } },
    );
    const orders = connectOrders(port);
    const watch = orders.watchOrders({});
    const first = watch.next();
    await began.promise;
    expect(await refusalOf(orders.getOrder({}))).toMatchObject({ reason: "SHED" });
    opened.resolve();
    await first;
    await orders.getOrder({});
    await watch.return();
  });

  test("by what the contract says of a method and of all of them", async () => {
    const { getOrder, begun, letGo } = held();
    const shedding = withPolicy(
      { shed: { maxConcurrent: 3 } },
      { shed: { maxConcurrent: 1 }, criticality: "critical_plus" },
    );
    const { port } = await serve({ getOrder, async *listOrders() {} }, { shed: NO_LAG }, shedding);
    const orders = connectOrders(port);
    const running = orders.getOrder({});
    await begun(1);
    expect(await refusalOf(orders.getOrder({}))).toMatchObject({ reason: "SHED" });
    expect(await Array.fromAsync(orders.listOrders({}))).toEqual([]);
    letGo();
    await running;
  });

  test("nothing where it is switched off", async () => {
    const { getOrder, begun, letGo } = held();
    const { port } = await serve({ getOrder }, { shed: false }, withPolicy({ shed: { maxConcurrent: 1 } }));
    const orders = connectOrders(port);
    const calls = [orders.getOrder({}), orders.getOrder({})];
    await begun(2);
    letGo();
    await Promise.all(calls);
  });

  test("by an event loop that lags, whatever runs", async () => {
    const burn = (ms: number) => {
      for (const until = performance.now() + ms; performance.now() < until; );
    };
    const getOrder = async () => {
      burn(60);
      return {};
    };
    const { port } = await serve({ getOrder }, { shed: { maxConcurrent: 1_000, loopDelayMs: 15 } });
    const orders = connectOrders(port);
    const refused = async () => {
      const calls = ["critical_plus", "critical_plus", "critical_plus", "critical_plus", "sheddable"] as const;
      const ends = calls.map((criticality) =>
        orders.getOrder({}, { criticality }).catch((error: RpcError) => error.reason),
      );
      return (await Promise.all(ends)).includes("SHED");
    };
    let rounds = 0;
    while (!(await refused()) && rounds < 50) rounds += 1;
    expect(rounds).toBeLessThan(50);
  });

  test("whoever is not believed counts as the contract says", async () => {
    const { getOrder: hold, begun, letGo } = held();
    const seen: unknown[] = [];
    const getOrder: typeof hold = (request, context) => {
      seen.push(currentCall()?.criticality);
      return hold(request, context);
    };
    const trustCriticality = ({ metadata }: { metadata: Metadata }) => metadata.get("internal") === "yes";
    const sheddable = withPolicy({}, { criticality: "sheddable" });
    const { port } = await serve({ getOrder }, { shed: { ...NO_LAG, maxConcurrent: 2, trustCriticality } }, sheddable);
    const orders = connectOrders(port);
    const first = orders.getOrder({}, { criticality: "critical" });
    await begun(1);
    expect(await refusalOf(orders.getOrder({}, { criticality: "critical" }))).toMatchObject({ reason: "SHED" });
    const second = orders.getOrder({}, { criticality: "critical", metadata: { internal: "yes" } });
    await begun(2);
    letGo();
    await Promise.all([first, second]);
    expect(seen).toEqual(["sheddable", "critical"]);
  });
});

describe("how much a call matters", () => {
  test.each(servers)("goes on to calls that its handler makes, and is not raised: %s", async (_, serve) => {
    const seen: unknown[] = [];
    const inner = await serve({
      async getOrder() {
        seen.push(currentCall()?.criticality);
        return {};
      },
    });
    const within = connectOrders(inner.port, { criticality: "critical_plus" });
    const outer = await serve({
      getOrder: async () => within.getOrder({}),
      async *listOrders() {
        yield await within.getOrder({}, { criticality: "sheddable" });
      },
    });
    const orders = connectOrders(outer.port);
    await orders.getOrder({}, { criticality: "sheddable_plus" });
    await orders
      .getOrder({}, { metadata: { "bowline-criticality": "no such word" } })
      .catch(() => seen.push("refused"));
    await orders.getOrder({});
    await Array.fromAsync(orders.listOrders({}, { criticality: "critical" }));
    expect(seen).toEqual(["sheddable_plus", "refused", "critical", "sheddable"]);
  });
});

test("health is never shed and never limited", async () => {
  const { port } = await serveOrders(ordersHandlers({}), {
    shed: { ...NO_LAG, maxConcurrent: 1 },
    rateLimit: { calls: 1, perMs: 60_000 },
  });
  const health = createClient(Health, `127.0.0.1:${port}`);
  const answers = await Promise.all(Array.from({ length: 20 }, () => health.check({})));
  expect(answers.length).toBe(20);
  closeClient(health);
});

test("buckets of one store are shared by the servers that have it", async () => {
  const options = { rateLimit: { calls: 1, perMs: 60_000, store: memoryRateLimit() } };
  const [one, other] = await Promise.all([1, 2].map(() => serveOrders({ getOrder: async () => ({}) }, options)));
  await connectOrders(one?.port ?? 0).getOrder({});
  expect(await refusalOf(connectOrders(other?.port ?? 0).getOrder({}))).toMatchObject({ reason: "RATE_LIMITED" });
});

test.each(servers)("%s refuses a limit of a method that nobody serves, and says what there is", async (_, serve) => {
  const limit = { calls: 1 };
  const rateLimit = {
    methods: { [`/${OrderService.name}/GetOder`]: limit, [`/${OrderService.name}/GetOrder`]: limit },
  };
  const served = serve({ getOrder: async () => ({}) }, { rateLimit });
  const { message } = (await rejection(served)) as TypeError;
  expect(message).toContain(`rateLimit.methods["/${OrderService.name}/GetOder"]: no such method is served; there are`);
  expect(message).toContain(`/${OrderService.name}/GetOrder, `);
});

test("a server without a service has no limits of methods", async () => {
  const empty = createServer({ drainOn: [], rateLimit: { methods: { "/a.B/C": { calls: 1 } } } });
  await expect(empty.listen("127.0.0.1:0")).rejects.toThrow(
    '["/a.B/C"]: no such method is served; no service was added',
  );
});
