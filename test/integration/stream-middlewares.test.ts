import { setTimeout } from "node:timers/promises";
import { type ObserverEvent, type ResumeCallOptions, RpcError, resume, retry, stall } from "bowline";
import { heartbeat } from "bowline/server";
import type { FaultRule } from "bowline/testing";
import { type CallOptions, type ClientMiddleware, ServerError, Status } from "nice-grpc";
import { describe, expect, test } from "vitest";
import { connectNice, type NiceHandlers, serveNice } from "../support/nice-alone.ts";
import { rejection } from "../support/orders.ts";
import { toldOf } from "../support/retrying.ts";
import { drained, portOf, proxyTo } from "../support/through-proxy.ts";

const LAST = 200n;
const methods = ["/shop.orders.v1.OrderService/WatchOrders"];
const fields = { methods, requestField: "afterRevision", cursorField: "revision" };
const quick = { ...fields, fromStart: true, initialBackoffMs: 1, maxBackoffMs: 5 };

/** Yields all events after a revision, and keeps what it was asked for. */
function events() {
  const asked: bigint[] = [];
  const given: Partial<NiceHandlers> = {
    async *watchOrders({ afterRevision }) {
      asked.push(afterRevision);
      for (let revision = afterRevision + 1n; revision <= LAST; revision += 1n) {
        yield { revision, order: { orderId: `o-${revision}` } };
      }
    },
  };
  return { asked, given };
}

/** nice-grpc's own server and client, with a fault proxy between them. */
async function through(given: Partial<NiceHandlers>, rules: FaultRule[], ...use: Parameters<typeof resume>[0][]) {
  const proxy = await proxyTo(await serveNice(given), rules);
  return connectNice(portOf(proxy), ...use.map((options) => resume(options)));
}

const revisionsOf = (messages: readonly { revision: bigint }[]) => messages.map(({ revision }) => revision);
const all = Array.from({ length: Number(LAST) }, (_, at) => BigInt(at + 1));

describe("resume() on nice-grpc alone", () => {
  test("a stream whose connection is cut again and again arrives whole, in order, once", async () => {
    const { asked, given } = events();
    const cut: FaultRule = { on: "connection", first: 3, fault: "cut", afterBytes: 1_200 };
    const client = await through(given, [cut], quick);
    const { messages, error } = await drained(client.watchOrders({}));
    expect([error, revisionsOf(messages)]).toEqual([undefined, all]);
    expect(asked.length).toBeGreaterThan(2);
    expect(asked).toEqual(asked.toSorted((one, other) => Number(one - other)));
  });

  test("a stream that is reset after some messages continues after the last of them", async () => {
    const { asked, given } = events();
    const client = await through(given, [{ on: "call", first: 1, fault: "reset", afterMessages: 7 }], quick);
    const { messages, error } = await drained(client.watchOrders({}));
    expect([error, revisionsOf(messages)]).toEqual([undefined, all]);
    expect(asked[0]).toBe(0n);
    expect(asked).toHaveLength(2);
  });

  test("a field that the messages do not have is refused at the first of them", async () => {
    const { given } = events();
    const client = await through(given, [], { ...quick, cursorField: "revison" });
    const { messages, error } = await drained(client.watchOrders({}));
    expect(messages).toEqual([]);
    expect(error).toBeInstanceOf(TypeError);
    expect(error).toMatchObject({
      message: expect.stringMatching(
        /^resume: the generated messages have no field revison .*there are revision, order/,
      ),
    });
  });

  test("a status that is not resumed, and a call without retries, end as they are", async () => {
    const refusing: Partial<NiceHandlers> = {
      async *watchOrders() {
        yield { revision: 1n };
        throw new ServerError(Status.PERMISSION_DENIED, "no longer yours");
      },
    };
    const { error } = await drained((await through(refusing, [], quick)).watchOrders({}));
    expect(error).toMatchObject({ code: Status.PERMISSION_DENIED, reason: "STATUS" });
    const { given } = events();
    const client = await through(given, [{ on: "call", fault: "reset", afterMessages: 7 }], quick);
    const once: ResumeCallOptions & CallOptions = { retry: false };
    const broken = await drained(client.watchOrders({}, once));
    expect(broken.error).toMatchObject({ code: Status.INTERNAL, reason: "TRANSPORT" });
  });

  test("a position that is gone is an explicit error, or answered by another request", async () => {
    const given: Partial<NiceHandlers> = {
      async *watchOrders({ afterRevision }) {
        if (afterRevision === 5n) throw new ServerError(Status.OUT_OF_RANGE, "compacted");
        yield { revision: afterRevision + 1n };
      },
    };
    const client = await through(given, [], quick);
    const error = await rejection(Array.fromAsync(client.watchOrders({ afterRevision: 5n })));
    expect(error).toBeInstanceOf(RpcError);
    expect(error).toMatchObject({ reason: "CURSOR_EXPIRED", code: Status.OUT_OF_RANGE, cursor: 5n });
    const anew: ResumeCallOptions & CallOptions = {
      onExpired: (cursor) => ({ afterRevision: (cursor as bigint) + 10n }),
    };
    const { messages } = await drained(client.watchOrders({ afterRevision: 5n }, anew));
    expect(revisionsOf(messages)).toEqual([16n]);
  });

  test.each<[string, unknown, unknown[], unknown]>([
    ["a bigint, unless there is more to go by", undefined, [], 7n],
    ["what the request says no position with", 0, [], 7],
    ["what the messages before had", undefined, [3], 7],
    ["text, where they had that", undefined, ["3"], "7"],
  ])("a pinned position is sent as %s", async (_, empty, before, pinned) => {
    const given: Partial<NiceHandlers> = {
      async *watchOrders({ afterRevision, customerId }, { header, sendHeader }) {
        if (customerId) yield { revision: BigInt(customerId) };
        else if (afterRevision === 0n) {
          header.set("bowline-cursor-bin", new TextEncoder().encode("7"));
          sendHeader();
          throw new ServerError(Status.UNAVAILABLE, "gone");
        }
      },
    };
    const asked: unknown[] = [];
    /** Has generated messages look as if ts-proto had been told another `forceLong`. */
    const generated: ClientMiddleware = async function* generated(call, options) {
      const { afterRevision = 0, customerId } = call.request as {
        afterRevision?: bigint | number;
        customerId?: string;
      };
      asked.push(Reflect.get(call.request as object, "afterRevision"));
      const request = { ...call.request, afterRevision: BigInt(afterRevision) };
      for await (const message of call.next(request as never, options) as AsyncIterable<object>) {
        yield { ...message, revision: before.find((one) => String(one) === customerId) } as never;
      }
    };
    const client = connectNice(await serveNice(given), generated, resume({ ...quick, fromStart: false }));
    for (const one of before) await drained(client.watchOrders({ customerId: String(one) }));
    await drained(client.watchOrders({ afterRevision: empty as never }));
    expect(asked.at(-1)).toEqual(pinned);
  });

  test("leaving in the middle ends it on the server", async () => {
    const left = Promise.withResolvers<void>();
    const given: Partial<NiceHandlers> = {
      async *watchOrders(_, { signal }) {
        signal.addEventListener("abort", () => left.resolve());
        yield { revision: 1n };
        await left.promise;
      },
    };
    const client = await through(given, [], quick);
    for await (const { revision } of client.watchOrders({})) {
      expect(revision).toBe(1n);
      break;
    }
    await left.promise;
  });
});

describe("resume() around retry()", () => {
  /** Yields what is new since it was asked, and keeps how often that was. */
  const live = () => {
    const calls: unknown[] = [];
    const given: Partial<NiceHandlers> = {
      async *watchOrders(request) {
        calls.push(request);
        yield { revision: BigInt(calls.length) };
      },
    };
    return { calls, given };
  };
  const again = () => retry({ initialBackoffMs: 1 });
  const stacked = async (given: Partial<NiceHandlers>, rules: FaultRule[], fromStart: boolean) => {
    const proxy = await proxyTo(await serveNice(given), rules);
    return connectNice(portOf(proxy), again(), resume({ ...quick, fromStart }));
  };

  test("no stream that began now is opened again, with messages lost in between", async () => {
    const { calls, given } = live();
    const client = await stacked(given, [{ on: "call", first: 1, fault: "drop", clientSees: "cut" }], false);
    const { messages, error } = await drained(client.watchOrders({}));
    expect(error).toMatchObject({ reason: "CURSOR_UNKNOWN" });
    expect([messages, calls.length]).toEqual([[], 1]);
  });

  test("a stream from the start is", async () => {
    const { calls, given } = live();
    const client = await stacked(given, [{ on: "call", first: 1, fault: "drop", clientSees: "cut" }], true);
    const { messages, error } = await drained(client.watchOrders({}));
    expect([error, revisionsOf(messages), calls.length]).toEqual([undefined, [2n], 2]);
  });

  test("a call without retries has none from either", async () => {
    let calls = 0;
    const refusing: Partial<NiceHandlers> = {
      // biome-ignore lint/correctness/useYield: it refuses
      async *watchOrders() {
        calls += 1;
        throw new ServerError(Status.UNAVAILABLE, "too busy");
      },
    };
    const once: ResumeCallOptions & CallOptions = { retry: false };
    const { error } = await drained((await stacked(refusing, [], true)).watchOrders({}, once));
    expect(error).toMatchObject({ code: Status.UNAVAILABLE, details: "too busy" });
    expect(calls).toBe(1);
  });
});

describe("stall() on nice-grpc alone", () => {
  const silentOnce = () => {
    let calls = 0;
    const given: Partial<NiceHandlers> = {
      async *watchOrders({ afterRevision }, { signal }) {
        calls += 1;
        yield { revision: afterRevision + 1n };
        if (calls === 1)
          await new Promise((_, reject) => signal.addEventListener("abort", () => reject(signal.reason)));
      },
    };
    return given;
  };

  test("a stream that is open and silent ends with STALLED", async () => {
    const client = connectNice(await serveNice(silentOnce()), stall({ methods, field: "heartbeat", intervalMs: 20 }));
    const { messages, error } = await drained(client.watchOrders({}));
    expect(revisionsOf(messages)).toEqual([1n]);
    expect(error).toMatchObject({ code: Status.UNAVAILABLE, reason: "STALLED", origin: "local" });
  });

  test("below resume(), it is reopened", async () => {
    const port = await serveNice(silentOnce());
    const client = connectNice(port, stall({ methods, field: "heartbeat", intervalMs: 20 }), resume(quick));
    const { messages, error } = await drained(client.watchOrders({}));
    expect([error, revisionsOf(messages)]).toEqual([undefined, [1n, 2n]]);
  });

  test("heartbeats keep a quiet stream open, and are not handed to the application", async () => {
    const beats = { methods, field: "heartbeat", intervalMs: 40 };
    let calls = 0;
    const given: Partial<NiceHandlers> = {
      async *watchOrders() {
        calls += 1;
        await setTimeout(8 * beats.intervalMs);
        yield { revision: 1n };
      },
    };
    const port = await serveNice(given, heartbeat(beats));
    const events: ObserverEvent[] = [];
    const client = connectNice(port, stall({ ...beats, observer: (event) => void events.push(event) }), resume(quick));
    const { messages, error } = await drained(client.watchOrders({}));
    expect([error, messages]).toMatchObject([undefined, [{ revision: 1n, heartbeat: false }]]);
    expect([calls, toldOf(events)]).toEqual([1, []]);
  });
});
