import { setTimeout } from "node:timers/promises";
import { currentCall, Status } from "bowline";
import { heartbeat, type ServerOptions } from "bowline/server";
import { Metadata, ServerError, type ServerMiddleware } from "nice-grpc";
import { describe, expect, test, vi } from "vitest";
import { gate, rejection } from "../support/orders.ts";
import {
  connectTicks,
  INTERVAL_MS,
  serveTicks,
  serveTicksBare,
  serveTicksOnNice,
  type TicksHandlers,
  type TicksServer,
  WATCH,
} from "../support/ticks.ts";

type Serve = (given: TicksHandlers, options?: ServerOptions) => Promise<TicksServer>;

const methods = [WATCH, "/test.v1.Ticks/Echo"];
const alone = heartbeat({ methods, field: "heartbeat", intervalMs: INTERVAL_MS });
const ours: Record<string, Serve> = { createServer: serveTicks, serverMiddleware: serveTicksOnNice };
const all: Record<string, Serve> = {
  ...ours,
  "heartbeat() on nice-grpc alone": (given, { use = [] } = {}) => serveTicksBare(given as never, ...use, alone),
};
const beat = { done: false, value: { at: 0, heartbeat: true } };
const message = (at: number) => ({ done: false, value: { at, heartbeat: false } });

const iterate = <T>(messages: AsyncIterable<T>): AsyncIterator<T> => messages[Symbol.asyncIterator]();
const aborted = (signal: AbortSignal) =>
  new Promise((_, reject) => signal.addEventListener("abort", () => reject(signal.reason)));

/** A handler that has nothing to say until its call is over, and says then how that was. */
function idle() {
  const ended = gate<string>();
  const handlers: TicksHandlers = {
    async *watch(_request, { signal }) {
      try {
        await aborted(signal);
        yield {};
      } finally {
        ended.resolve(`aborted: ${signal.aborted}`);
      }
    },
  };
  return { handlers, ended: ended.promise };
}

describe.each(Object.entries(all))("heartbeats over %s", (_, serve) => {
  test("reach a client of nice-grpc's own while the handler waits, before its first message and after it", async () => {
    const [first, second] = [gate(), gate()];
    const { port } = await serve({
      async *watch() {
        await first.promise;
        yield { at: 1 };
        await second.promise;
        yield { at: 2 };
      },
    });
    const since = performance.now();
    const stream = iterate(connectTicks(port).watch({}));
    for (const times of [1, 2]) {
      expect(await stream.next()).toEqual(beat);
      expect(performance.now() - since).toBeGreaterThanOrEqual(times * INTERVAL_MS);
    }
    first.resolve();
    expect(await nextMessage(stream)).toEqual(message(1));
    expect(await stream.next()).toEqual(beat);
    second.resolve();
    expect(await nextMessage(stream)).toEqual(message(2));
    expect(await nextMessage(stream)).toEqual({ done: true, value: undefined });
  });

  test("do not come from a handler that is busy, nor change what it sends", async () => {
    const { port } = await serve({
      async *watch() {
        const until = performance.now() + 3 * INTERVAL_MS;
        for (let at = 0; performance.now() < until || at < 1_000; at += 1) yield { at };
      },
    });
    const ticks = await Array.fromAsync(connectTicks(port).watch({}));
    expect(ticks.length).toBeGreaterThanOrEqual(1_000);
    expect(ticks).toEqual(ticks.map((_, at) => ({ at, heartbeat: false })));
  });

  test("leave errors as they are: trailers alone before the first heartbeat, and after one too", async () => {
    const refusing = gate();
    const { port } = await serve({
      // biome-ignore lint/correctness/useYield: it refuses before its first message
      async *watch(request) {
        if ("at" in request && request.at === 1) await refusing.promise;
        throw new ServerError(Status.ABORTED, "no");
      },
    });
    const headers: unknown[] = [];
    const onHeader = (header: unknown) => void headers.push(header);
    const ticks = connectTicks(port);
    const refused = { code: Status.ABORTED, details: "no" };
    expect(await rejection(iterate(ticks.watch({}, { onHeader })).next())).toMatchObject(refused);
    expect(headers).toEqual([]);
    const stream = iterate(ticks.watch({ at: 1 }, { onHeader }));
    expect(await stream.next()).toEqual(beat);
    refusing.resolve();
    expect(await rejection(nextMessage(stream))).toMatchObject(refused);
    expect(headers).toHaveLength(1);
  });

  test("a client that cancels in between ends the handler", async () => {
    const { handlers, ended } = idle();
    const { port, server } = await serve(handlers);
    const controller = new AbortController();
    const stream = iterate(connectTicks(port).watch({}, { signal: controller.signal }));
    expect(await stream.next()).toEqual(beat);
    controller.abort();
    expect(await rejection(nextMessage(stream))).toMatchObject({ name: "AbortError" });
    expect(await ended).toBe("aborted: true");
    await vi.waitFor(() => expect(server?.activeCalls ?? 0).toBe(0));
  });

  test("a client that leaves its loop at a heartbeat ends the handler", async () => {
    const { handlers, ended } = idle();
    const { port } = await serve(handlers);
    for await (const _ of connectTicks(port).watch({})) break;
    expect(await ended).toBe("aborted: true");
  });

  test("a deadline passes as it would without them", async () => {
    const { handlers, ended } = idle();
    const { port } = await serve(handlers);
    const metadata = Metadata({ "grpc-timeout": `${4 * INTERVAL_MS}m` });
    const read: unknown[] = [];
    const reading = (async () => {
      for await (const tick of connectTicks(port).watch({}, { metadata })) read.push(tick);
    })();
    expect(await rejection(reading)).toMatchObject({ code: Status.DEADLINE_EXCEEDED });
    expect(await ended).toBe("aborted: true");
    expect(read).toContainEqual(beat.value);
  });

  test("100 streams that were idle leave no timer behind", async () => {
    const ended: string[] = [];
    const { port, server } = await serve({
      async *watch(_request, { signal }) {
        try {
          await aborted(signal);
          yield {};
        } finally {
          ended.push("ended");
        }
      },
    });
    const ticks = connectTicks(port);
    const open = async () => {
      for await (const _ of ticks.watch({})) break;
    };
    await open();
    await vi.waitFor(() => expect(ended).toHaveLength(1));
    const before = timers();
    await Promise.all(Array.from({ length: 100 }, open));
    await vi.waitFor(() => expect(ended).toHaveLength(101));
    await vi.waitFor(() => expect(timers()).toBeLessThanOrEqual(before));
    expect(server?.activeCalls ?? 0).toBe(0);
  });

  test("a middleware may leave at one, or throw: the handler ends, and the client is told", async () => {
    const leaving: ServerMiddleware = async function* leaving(call, context) {
      for await (const tick of call.next(call.request, context)) {
        if (context.metadata.has("x-throw")) throw new ServerError(Status.ABORTED, "not a tick");
        yield tick as never;
        return;
      }
    };
    const { handlers, ended } = idle();
    const { port, server } = await serve(handlers, { use: [leaving] });
    const ticks = connectTicks(port);
    expect(await Array.fromAsync(ticks.watch({}))).toEqual([beat.value]);
    expect(await ended).toBe("aborted: true");
    const metadata = Metadata({ "x-throw": "1" });
    expect(await rejection(Array.fromAsync(ticks.watch({}, { metadata })))).toMatchObject({
      details: "not a tick",
    });
    expect(server?.activeCalls ?? 0).toBe(0);
  });

  test("come on a bidi stream too, whose requests go on", async () => {
    const { port } = await serve({
      async *echo(requests) {
        for await (const { at } of requests as AsyncIterable<{ at: number }>) yield { at };
      },
    });
    const [second, end] = [gate(), gate()];
    async function* requests() {
      yield { at: 1 };
      await second.promise;
      yield { at: 2 };
      await end.promise;
    }
    const stream = iterate(connectTicks(port).echo(requests()));
    expect(await nextMessage(stream)).toEqual(message(1));
    expect(await stream.next()).toEqual(beat);
    second.resolve();
    expect(await nextMessage(stream)).toEqual(message(2));
    expect(await stream.next()).toEqual(beat);
    end.resolve();
    expect(await nextMessage(stream)).toEqual({ done: true, value: undefined });
  });

  test("other methods are served as ever", async () => {
    const { port } = await serve({
      get: async ({ at }) => ({ at: at + 1 }),
      async sum(requests) {
        return { at: (await Array.fromAsync(requests)).length };
      },
    });
    const ticks = connectTicks(port);
    expect(await ticks.get({ at: 1 })).toMatchObject({ at: 2 });
    async function* two() {
      yield {};
      yield {};
    }
    expect(await ticks.sum(two())).toMatchObject({ at: 2 });
  });
});

describe.each(Object.entries(ours))("heartbeats over %s", (_, serve) => {
  test("each step of the handler is a part of its call, its end in the middle of one too", async () => {
    const seen: unknown[] = [];
    const see = () => seen.push(currentCall()?.method.path);
    const ended = gate();
    const { port } = await serve({
      async *watch(_request, { signal }) {
        try {
          see();
          await setTimeout(2 * INTERVAL_MS);
          see();
          yield { at: 1 };
          see();
          await aborted(signal);
        } finally {
          see();
          ended.resolve();
        }
      },
    });
    const stream = iterate(connectTicks(port).watch({}));
    expect(await nextMessage(stream)).toEqual(message(1));
    expect(await stream.next()).toEqual(beat);
    await stream.return?.();
    await ended.promise;
    expect(seen).toEqual(Array(4).fill(WATCH));
  });

  test("a header that cannot be sent ends a quiet stream with INTERNAL, and the log says why", async () => {
    const logged: unknown[] = [];
    const ended = gate();
    const { port } = await serve(
      {
        async *watch(_request, { header, signal }) {
          header.set("connection", "close");
          try {
            await aborted(signal);
            yield {};
          } finally {
            ended.resolve();
          }
        },
      },
      { onError: (error) => logged.push(error) },
    );
    const error = await rejection(Array.fromAsync(connectTicks(port).watch({})));
    expect(error).toMatchObject({ code: Status.INTERNAL, details: "internal error" });
    await ended.promise;
    expect(logged).toEqual([expect.objectContaining({ message: expect.stringContaining("connection") })]);
  });
});

test("a drain ends an idle stream with heartbeats at once, for its client to open elsewhere", async () => {
  const { handlers, ended } = idle();
  const { port, server } = await serveTicks(handlers);
  const trailers: Metadata[] = [];
  const stream = iterate(connectTicks(port).watch({}, { onTrailer: (trailer) => trailers.push(trailer) }));
  expect(await stream.next()).toEqual(beat);
  const drained = server?.drain();
  expect(await rejection(nextMessage(stream))).toMatchObject({ code: Status.UNAVAILABLE });
  expect(await ended).toBe("aborted: true");
  expect(await drained).toEqual({ abandoned: 0 });
  expect(trailers[0]?.get("bowline-drain")).toBe("1");
});

test("heartbeat() sends what it is given a function for", async () => {
  const message = () => ({ at: 7, heartbeat: true });
  const middleware = heartbeat({ methods: [WATCH], message, intervalMs: INTERVAL_MS });
  const { port } = await serveTicksBare(idle().handlers as never, middleware);
  for await (const tick of connectTicks(port).watch({})) {
    expect(tick).toEqual({ at: 7, heartbeat: true });
    break;
  }
});

/** The next one that is no heartbeat: on a busy machine, there may be one in between. */
async function nextMessage<T extends { heartbeat: boolean }>(stream: AsyncIterator<T>): Promise<IteratorResult<T>> {
  for (;;) {
    const result = await stream.next();
    if (result.done || !result.value.heartbeat) return result;
  }
}

/** How many of Node's timers would keep the process alive. */
function timers(): number {
  return process.getActiveResourcesInfo().filter((type) => type === "Timeout").length;
}
