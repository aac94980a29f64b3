import { closeClient, createClient, currentCall, fail, Status } from "bowline";
import { createServer, type ServerOptions, serverMiddleware } from "bowline/server";
import {
  createChannel,
  createClientFactory,
  createServer as createNiceServer,
  type Metadata,
  type ServerMiddleware,
} from "nice-grpc";
import { describe, expect, onTestFinished, test, vi } from "vitest";
import { CURSOR_HEADER, decodeCursor } from "../../src/core/cursor.ts";
import { LogService, type LogServiceHandlers } from "../fixtures/positions/gen/positions/v1/positions.contract.ts";
import { gate, rejection } from "../support/orders.ts";
import {
  connectTicks,
  serveTicks,
  serveTicksBare,
  serveTicksOnNice,
  Ticks,
  type TicksHandlers,
  type TicksServer,
} from "../support/ticks.ts";

type Serve = (given: TicksHandlers, options?: ServerOptions) => Promise<TicksServer>;

/** As nice-grpc's documentation writes middlewares: with a spread copy of the context. */
const spreading: ServerMiddleware<{ user: string }> = async function* spreading(call, context) {
  return yield* call.next(call.request, { ...context, user: "ann" });
};

const servers: Record<string, Serve> = {
  createServer: serveTicks,
  "createServer with a middleware": (given, options) =>
    serveTicks(given, { ...options, use: [spreading as ServerMiddleware] }),
  serverMiddleware: serveTicksOnNice,
  "serverMiddleware below another": (given, options) =>
    serveTicksOnNice(given, { ...options, use: [spreading as ServerMiddleware] }),
  "serverMiddleware above another": (given, options) =>
    serveTicksBare(given as never, serverMiddleware(Ticks, options) as ServerMiddleware, spreading as ServerMiddleware),
};

/** What a client learns of a stream: every header, and every message that is no heartbeat. */
function watch(port: number) {
  const header = gate<Metadata>();
  const headers: Metadata[] = [];
  const onHeader = (one: Metadata) => {
    headers.push(one);
    header.resolve(one);
  };
  const read: number[] = [];
  const ended = (async () => {
    for await (const { at, heartbeat } of connectTicks(port).watch({}, { onHeader })) if (!heartbeat) read.push(at);
  })();
  ended.catch(() => {});
  return { header: header.promise, headers, read, ended };
}

const positionIn = (header: Metadata) => {
  const bytes = header.get(CURSOR_HEADER);
  return bytes && decodeCursor(bytes, 0n);
};

describe.each(Object.entries(servers))("context.pin under %s", (_, serve) => {
  test("sends the position in the header, with what else is in it, before there is any message", async () => {
    const seen = gate();
    const { port } = await serve({
      async *watch(_request, context) {
        context.header.set("x-more", "h");
        context.pin(41n);
        await seen.promise;
        yield { at: 42 };
      },
    });
    const { header, headers, read, ended } = watch(port);
    const received = await header;
    expect(positionIn(received)).toBe(41n);
    expect(received.get("x-more")).toBe("h");
    expect(read).toEqual([]);
    seen.resolve();
    await ended;
    expect(read).toEqual([42]);
    expect(headers).toHaveLength(1);
  });

  test("goes through currentCall() as well", async () => {
    const { port } = await serve({
      async *watch() {
        await null;
        currentCall()?.pin(7n);
        yield* [];
      },
    });
    const { header, ended } = watch(port);
    expect(positionIn(await header)).toBe(7n);
    await ended;
  });

  test("changes nothing once the header is out: by another one, or by a message", async () => {
    const { port } = await serve({
      async *watch(_request, context) {
        context.pin(1n);
        context.pin(2n);
        yield { at: 3 };
        context.pin(3n);
      },
    });
    const { headers, read, ended } = watch(port);
    await ended;
    expect(headers.map(positionIn)).toEqual([1n]);
    expect(read).toEqual([3]);
  });

  test("changes nothing after a message that went without a header", async () => {
    const { port } = await serve({
      async *watch(_request, context) {
        yield { at: 1 };
        context.pin(1n);
        yield { at: 2 };
      },
    });
    const { headers, read, ended } = watch(port);
    await ended;
    expect(headers.map(positionIn)).toEqual([undefined]);
    expect(read).toEqual([1, 2]);
  });

  test("comes too late after a heartbeat, and the stream goes on", async () => {
    const subscribed = gate();
    const { port } = await serve({
      async *watch(_request, context) {
        await subscribed.promise;
        context.pin(1n);
        yield { at: 2 };
      },
    });
    const { header, headers, read, ended } = watch(port);
    expect(positionIn(await header)).toBeUndefined();
    subscribed.resolve();
    await ended;
    expect(headers).toHaveLength(1);
    expect(read).toEqual([2]);
  });

  test("an error before it is trailers alone, and one after it comes behind the header", async () => {
    const { port } = await serve({
      // biome-ignore lint/correctness/useYield: it refuses before its first message
      async *watch(_request, context) {
        context.header.set("x-more", "h");
        if (context.metadata.get("x-pin")) context.pin(1n);
        fail("UNAVAILABLE", "no subscription");
      },
    });
    const headers: Metadata[] = [];
    const onHeader = (header: Metadata) => void headers.push(header);
    const refused = { code: Status.UNAVAILABLE, details: "no subscription" };
    const read = (metadata: Record<string, string>) => {
      const options = { onHeader, metadata: new Map(Object.entries(metadata)) as never };
      return rejection(Array.fromAsync(connectTicks(port).watch({}, options)));
    };
    expect(await read({})).toMatchObject(refused);
    expect(headers).toEqual([]);
    expect(await read({ "x-pin": "1" })).toMatchObject(refused);
    expect(headers.map(positionIn)).toEqual([1n]);
  });

  test("refuses a method that cannot be resumed: its client gets INTERNAL, and the log says which", async () => {
    const onError = vi.fn();
    const { port } = await serve(
      {
        async get(_request, context) {
          context.pin(1n);
          return {};
        },
      },
      { onError },
    );
    expect(await rejection(connectTicks(port).get({}))).toMatchObject({ code: Status.INTERNAL });
    const message = "/test.v1.Ticks/Get: pin is for server-streams; this is a unary method";
    expect(onError.mock.calls).toEqual([[new TypeError(message), expect.anything()]]);
  });

  test("tells a handler of a header that cannot be sent, and its client INTERNAL without one", async () => {
    const onError = vi.fn();
    const { port } = await serve(
      {
        async *watch(_request, context) {
          context.header.set("connection", "close");
          context.pin(1n);
          yield { at: 1 };
        },
      },
      { onError },
    );
    const { headers, ended } = watch(port);
    expect(await rejection(ended)).toMatchObject({ code: Status.INTERNAL });
    expect(headers).toEqual([]);
    expect(onError.mock.calls).toEqual([
      [expect.objectContaining({ message: expect.stringContaining("connection") }), expect.anything()],
    ]);
  });
});

/** The log of three streams, under both kinds of server. */
const logs: Record<string, (given: Partial<LogServiceHandlers>, options: ServerOptions) => Promise<number>> = {
  async createServer(given, options) {
    const server = createServer({ drainOn: [], ...options }).add(LogService, { ...NO_LOG, ...given });
    onTestFinished(async () => void (await server.drain({ timeoutMs: 1 })));
    return server.listen("127.0.0.1:0");
  },
  async serverMiddleware(given, options) {
    const server = createNiceServer().use(serverMiddleware(LogService, options));
    server.add(LogService.definition, { ...NO_LOG, ...given } as never);
    onTestFinished(() => server.forceShutdown());
    return server.listen("127.0.0.1:0");
  },
};

const unused = () => expect.unreachable("not in this test");
const NO_LOG: LogServiceHandlers = { readEntries: unused, watchChanges: unused, followEntries: unused };

describe.each(Object.entries(logs))("context.pin knows what the contract's positions are, under %s", (_, serve) => {
  test.each<[string, unknown]>([
    ['"é"', "é"],
    ["5n", 5n],
    ["5", 5],
  ])("and refuses %s where they are bytes: its client gets INTERNAL, and the log says why", async (shown, cursor) => {
    const onError = vi.fn();
    const port = await serve(
      {
        async *watchChanges(_request, context) {
          // @ts-expect-error: the types say so too
          context.pin(cursor);
          yield {};
        },
      },
      { onError },
    );
    const channel = createChannel(`127.0.0.1:${port}`);
    onTestFinished(() => channel.close());
    const log = createClientFactory().create(LogService.definition, channel);
    const onHeader = vi.fn();
    expect(await rejection(Array.fromAsync(log.watchChanges({}, { onHeader })))).toMatchObject({
      code: Status.INTERNAL,
    });
    expect(onHeader).not.toHaveBeenCalled();
    const message = `/positions.v1.LogService/WatchChanges: pin takes a Uint8Array, since its positions are bytes; it got ${shown}`;
    expect(onError.mock.calls).toEqual([[new TypeError(message), expect.anything()]]);
  });

  test("and pins nothing by a position that no request can say: the stream goes on", async () => {
    const onError = vi.fn();
    const port = await serve(
      {
        async *followEntries(_request, context) {
          context.pin("");
          yield { id: "first" };
        },
      },
      { onError },
    );
    const log = createClient(LogService, `127.0.0.1:${port}`);
    onTestFinished(() => closeClient(log));
    expect(await Array.fromAsync(log.followEntries({}))).toEqual([{ id: "first", text: "" }]);
    expect(onError).not.toHaveBeenCalled();
  });
});
