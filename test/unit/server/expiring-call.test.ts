import { describe, expect, onTestFinished, test, vi } from "vitest";
import type { RpcError } from "../../../src/core/errors.ts";
import type { ObserverEvent } from "../../../src/core/observer.ts";
import type { ServedContext, ServeUnary } from "../../../src/core/served-call.ts";
import { Status } from "../../../src/core/status.ts";
import { authenticationLayer } from "../../../src/server/layers/authentication.ts";
import { requestStream } from "../../../src/server/requests.ts";
import { ServerContext } from "../../../src/server/server-context.ts";
import { fakeClock } from "../../../src/testing/index.ts";
import { ScriptedArrival } from "../../support/incoming.ts";
import { gate, rejection } from "../../support/orders.ts";
import { aMethod } from "../../support/scripted.ts";

const expired = { code: Status.UNAUTHENTICATED, details: "the call needs valid credentials" };

/** A call whose caller sends what `requests` says and whose credentials end after a second. */
function call(requests: AsyncIterable<unknown>, handler: ServeUnary, { endStreamsAtExpiry = true } = {}) {
  const method = aMethod("client-stream");
  const clock = fakeClock();
  const events: ObserverEvent[] = [];
  const context = new ServerContext(method, new ScriptedArrival().call, clock);
  const identity = { key: "token:id|u-1", source: "token" } as const;
  const layer = authenticationLayer({
    authenticators: [() => ({ identity, expiresAt: clock.wallTime() + 1_000 })],
    accessOf: () => ({ scopes: [] }),
    endStreamsAtExpiry,
    clock,
    observer: (event) => void events.push(event),
  });
  const answer = layer.unary(handler, method)(requestStream(requests, context), context);
  return { clock, context, answer, events };
}

/** A client that sends one message, and then nothing. */
async function* silent() {
  yield 1;
  await new Promise(() => {});
}

/** A handler that counts what came, and notes how it ended. */
function counting() {
  const seen: unknown[] = [];
  const handler = async (requests: unknown, { signal }: ServedContext) => {
    signal.addEventListener("abort", () => seen.push(signal.reason));
    try {
      for await (const message of requests as AsyncIterable<unknown>) seen.push(message);
    } catch (error) {
      seen.push(error);
      throw error;
    }
    return { taken: seen.length };
  };
  return { seen, handler };
}

describe("a client's stream whose credentials end", () => {
  test("is answered at that moment, and its handler is told by its signal and by its requests", async () => {
    const { seen, handler } = counting();
    const { clock, answer } = call(silent(), handler);
    const refused = rejection(answer);
    await clock.advance(999);
    expect(seen).toEqual([1]);
    await clock.advance(1);
    expect(await refused).toMatchObject(expired);
    expect(seen).toMatchObject([1, expired, expired]);
  });

  test("is answered whatever its handler does, which gets nothing more that was sent", async () => {
    const later: Promise<unknown>[] = [];
    const { clock, answer } = call(ReadableStream.from([1, 2, 3]), async (requests, { signal }) => {
      const messages = (requests as AsyncIterable<unknown>)[Symbol.asyncIterator]();
      await messages.next();
      signal.addEventListener("abort", () => later.push(rejection(messages.next()), rejection(messages.next())));
      await new Promise(() => {});
    });
    const refused = rejection(answer);
    await clock.advance(1_000);
    expect(await refused).toMatchObject(expired);
    expect(await Promise.all(later)).toMatchObject([expired, expired]);
  });

  test("all who wait for a message are told", async () => {
    const waiting: Promise<unknown>[] = [];
    const { clock, answer } = call(silent(), async (requests) => {
      const messages = (requests as AsyncIterable<unknown>)[Symbol.asyncIterator]();
      await messages.next();
      waiting.push(rejection(messages.next()), rejection(messages.next()));
      await Promise.all(waiting);
      throw new Error("too late");
    });
    const refused = rejection(answer);
    await clock.advance(1_000);
    expect(await refused).toMatchObject(expired);
    expect(await Promise.all(waiting)).toMatchObject([expired, expired]);
  });

  test("ends when its handler has ended, however it does", async () => {
    const work = gate<never>();
    const ends: unknown[] = [];
    const { clock, context, answer } = call(silent(), () => work.promise);
    context.onEnd((end) => ends.push(end));
    const refused = rejection(answer);
    await clock.advance(1_000);
    const error = (await refused) as RpcError;
    context.finish({ outcome: "error", error });
    expect(context.over).toBe(true);
    await clock.advance(60_000);
    expect(ends).toEqual([]);
    work.reject(new Error("rolled back"));
    await clock.advance(0);
    expect(ends).toEqual([{ outcome: "error", error }]);
    context.onEnd((end) => ends.push(end));
    expect(ends).toHaveLength(2);
  });

  test("whose handler throws before it does anything is answered so", async () => {
    const mistake = new Error("a mistake");
    const { answer, clock } = call(silent(), () => {
      throw mistake;
    });
    expect(await rejection(answer)).toBe(mistake);
    expect(clock.pending).toBe(0);
  });

  test("goes on where that is said", async () => {
    const { seen, handler } = counting();
    const { clock, context } = call(silent(), handler, { endStreamsAtExpiry: false });
    await clock.advance(10_000);
    expect(context.signal.aborted).toBe(false);
    expect(seen).toEqual([1]);
  });

  test("and that was answered before is left alone", async () => {
    const { handler } = counting();
    const { clock, context, answer } = call(ReadableStream.from([1, 2]), handler);
    expect(await answer).toEqual({ taken: 2 });
    await clock.advance(1_000);
    expect(context.signal.aborted).toBe(false);
  });

  test("and whose client has left before is let be: nobody is refused, and its handler is free to throw", async () => {
    const warned = vi.spyOn(process, "emitWarning").mockImplementation(() => {});
    onTestFinished(() => warned.mockRestore());
    const cleaned = gate();
    const { clock, context, answer, events } = call(silent(), async (_requests, { signal }) => {
      await cleaned.promise;
      throw signal.reason;
    });
    const failed = rejection(answer);
    await clock.advance(999);
    context.cancel("left");
    await clock.advance(1);
    cleaned.resolve();
    expect(await failed).toBe("left");
    await clock.advance(0);
    expect([warned.mock.calls, events]).toEqual([[], []]);
    expect(clock.pending).toBe(0);
  });

  test("still aborts when its client leaves", async () => {
    const { seen, handler } = counting();
    const { clock, context } = call(silent(), handler);
    await clock.advance(1);
    context.cancel("left");
    expect(seen).toEqual([1, "left"]);
  });
});
