import { closeClient, createClient, fail, Status } from "bowline";
import { heartbeat } from "bowline/server";
import type { Metadata } from "nice-grpc";
import { describe, expect, onTestFinished, test } from "vitest";
import { toMethod } from "../../src/contract/definition.ts";
import { sleep } from "../../src/core/clock.ts";
import { CURSOR_HEADER, decodeCursor } from "../../src/core/cursor.ts";
import type { ServeStream } from "../../src/core/served-call.ts";
import { serverLayers } from "../../src/server/layers/index.ts";
import { composeServeStream } from "../../src/server/pipeline.ts";
import { ServerContext } from "../../src/server/server-context.ts";
import { type FakeClock, fakeClock } from "../../src/testing/index.ts";
import { ScriptedArrival } from "../support/incoming.ts";
import { gate, rejection } from "../support/orders.ts";
import {
  connectTicks,
  INTERVAL_MS,
  serveTicks,
  serveTicksBare,
  serveTicksOnNice,
  Ticks,
  type TicksHandlers,
  WATCH,
} from "../support/ticks.ts";

const servers = { createServer: serveTicks, serverMiddleware: serveTicksOnNice };
const alone = heartbeat({ methods: [WATCH], field: "heartbeat", intervalMs: INTERVAL_MS });
const beat = { at: 0, heartbeat: true };

const positionIn = (header: Metadata) => {
  const bytes = header.get(CURSOR_HEADER);
  return bytes && decodeCursor(bytes, 0n);
};

describe.each(Object.entries(servers))("on %s", (_, serve) => {
  test("S5 pin puts the start position into the first header, which goes out before there is a message", async () => {
    const pinned = gate<Metadata>();
    const { port } = await serve({
      async *watch(_request, context) {
        context.pin(41n);
        await pinned.promise;
        yield { at: 42 };
      },
    });
    const read = Array.fromAsync(connectTicks(port).watch({}, { onHeader: pinned.resolve }));
    expect(positionIn(await pinned.promise)).toBe(41n);
    expect((await read).filter(({ heartbeat }) => !heartbeat)).toEqual([{ at: 42, heartbeat: false }]);
  });

  test("S5 errors before pin are trailers-only, so that they stay retryable", async () => {
    const { port } = await serve({
      // biome-ignore lint/correctness/useYield: it refuses before its first message
      async *watch(_request, context) {
        context.header.set("x-more", "h");
        fail("UNAVAILABLE", "no subscription");
      },
    });
    const client = createClient(Ticks, `127.0.0.1:${port}`);
    onTestFinished(() => closeClient(client));
    const error = await rejection(Array.fromAsync(client.watch({})));
    expect(error).toMatchObject({ code: Status.UNAVAILABLE, headersReceived: false });
  });
});

describe("S6 the server gives a sign of life whenever its handler had nothing to say for an interval", () => {
  const watch = toMethod(Ticks.definition, Ticks.definition.methods.watch);

  /** What a reader that waits `readMs` after each message gets, and when. */
  async function served(handler: (clock: FakeClock) => AsyncIterable<unknown>, readMs: number, forMs: number) {
    const clock = fakeClock();
    const serve: ServeStream = () => handler(clock);
    const context = new ServerContext(watch, new ScriptedArrival().call, clock);
    const stream = composeServeStream(serverLayers(Ticks, undefined, clock), serve, watch)({}, context);
    const got: [number, unknown][] = [];
    const reading = (async () => {
      for await (const tick of stream) {
        got.push([clock.now(), tick]);
        await sleep(clock, readMs);
      }
    })();
    await clock.advance(forMs);
    await reading;
    expect(clock.pending).toBe(0);
    return got;
  }

  async function* saying(clock: FakeClock, ...pausesMs: number[]) {
    for (const [at, pauseMs] of pausesMs.entries()) {
      await sleep(clock, pauseMs);
      yield { at };
    }
  }

  test("1 ms before it does not, at it does", async () => {
    const quiet = (ms: number) => served((clock) => saying(clock, ms), 0, 10 * INTERVAL_MS);
    expect(await quiet(INTERVAL_MS - 1)).toEqual([[INTERVAL_MS - 1, { at: 0 }]]);
    expect(await quiet(INTERVAL_MS + 1)).toEqual([
      [INTERVAL_MS, beat],
      [INTERVAL_MS + 1, { at: 0 }],
    ]);
  });

  test("a message begins the interval anew", async () => {
    const got = await served((clock) => saying(clock, 10, INTERVAL_MS + 5), 0, 10 * INTERVAL_MS);
    expect(got).toEqual([
      [10, { at: 0 }],
      [10 + INTERVAL_MS, beat],
      [15 + INTERVAL_MS, { at: 1 }],
    ]);
  });

  test("a slow reader of a busy handler gets messages alone", async () => {
    const got = await served((clock) => saying(clock, 1, 1, 1), 10 * INTERVAL_MS, 100 * INTERVAL_MS);
    expect(got.map(([, tick]) => tick)).toEqual([{ at: 0 }, { at: 1 }, { at: 2 }]);
  });

  const ways = { ...servers, "heartbeat() alone": (given: TicksHandlers) => serveTicksBare(given as never, alone) };

  test.each(Object.entries(ways))("on the wire of %s", async (_, serve) => {
    const { port } = await serve({
      async *watch(_request, { signal }) {
        await new Promise((_, reject) => signal.addEventListener("abort", () => reject(signal.reason)));
        yield {};
      },
    });
    const since = performance.now();
    const got: unknown[] = [];
    for await (const tick of connectTicks(port).watch({})) if (got.push(tick) === 3) break;
    expect(got).toEqual([beat, beat, beat]);
    expect(performance.now() - since).toBeGreaterThanOrEqual(3 * INTERVAL_MS);
  });

  test.each(Object.entries(ways))("so that our client takes a quiet %s for no stalled one", async (_, serve) => {
    const { port } = await serve({
      async *watch() {
        await new Promise((resolve) => setTimeout(resolve, 8 * INTERVAL_MS));
        yield { at: 1 };
      },
    });
    const client = createClient(Ticks, `127.0.0.1:${port}`);
    onTestFinished(() => closeClient(client));
    expect(await Array.fromAsync(client.watch({}))).toEqual([{ at: 1, heartbeat: false }]);
  });
});
