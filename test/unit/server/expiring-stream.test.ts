import { getEventListeners } from "node:events";
import { describe, expect, onTestFinished, test, vi } from "vitest";
import type { RpcError } from "../../../src/core/errors.ts";
import type { ServedContext, ServeStream } from "../../../src/core/served-call.ts";
import { Status } from "../../../src/core/status.ts";
import type { Authentication, Authenticator } from "../../../src/server/authentication/authenticator.ts";
import { authenticationLayer } from "../../../src/server/layers/authentication.ts";
import { ServerContext } from "../../../src/server/server-context.ts";
import { fakeClock } from "../../../src/testing/index.ts";
import { ScriptedArrival } from "../../support/incoming.ts";
import { gate, rejection } from "../../support/orders.ts";
import { aMethod } from "../../support/scripted.ts";

const method = aMethod("server-stream");
const identity = { key: "token:id|u-1", source: "token" } as const;
const expired = {
  code: Status.UNAUTHENTICATED,
  reason: "UNAUTHENTICATED",
  details: "the call needs valid credentials",
};

/** A stream of a handler, behind the layer, whose caller's credentials end after a second. */
function open(handler: ServeStream, endStreamsAtExpiry = true, lifeMs = 1_000) {
  const clock = fakeClock();
  const arrival = new ScriptedArrival();
  const context = new ServerContext(method, arrival.call, clock);
  const found = (): Authentication => ({ identity, expiresAt: clock.wallTime() + lifeMs });
  const accessOf = () => ({ scopes: [] });
  const common = { accessOf, endStreamsAtExpiry, clock, observer: undefined };
  const serve = (authenticators: readonly Authenticator[], handlers = handler) =>
    authenticationLayer({ ...common, authenticators })
      .stream(handlers, method)({}, context)
      [Symbol.asyncIterator]();
  return { clock, context, serve, stream: serve([found]) };
}

/** A handler that waits after its first message until its signal aborts, and notes what it saw. */
function patient() {
  const seen: unknown[] = [];
  const left = gate();
  const handler = async function* (_request: unknown, { signal }: ServedContext) {
    try {
      yield 1;
      await new Promise((resolve) => signal.addEventListener("abort", resolve, { once: true }));
      seen.push(signal.reason);
    } finally {
      left.resolve();
    }
  };
  return { handler, seen, left: left.promise };
}

describe("a stream whose credentials end", () => {
  test("is told so while it waits, at that moment, and its handler is told to stop", async () => {
    const { handler, seen, left } = patient();
    const { clock, stream } = open(handler);
    expect(await stream.next()).toEqual({ done: false, value: 1 });
    const pending = stream.next().catch((error: unknown) => error);
    await clock.advance(999);
    expect(await Promise.race([pending, "waiting"])).toBe("waiting");
    await clock.advance(1);
    expect(await pending).toMatchObject(expired);
    await left;
    expect(seen).toMatchObject([expired]);
    expect(await rejection(stream.next() as Promise<unknown>)).toMatchObject(expired);
  });

  test("is told so at the next message, if nobody waited", async () => {
    const { handler, left } = patient();
    const { clock, stream } = open(handler);
    await stream.next();
    await clock.advance(1_000);
    expect(await rejection(stream.next())).toMatchObject(expired);
    await left;
  });

  test("all who wait are told, whatever the handler does", async () => {
    const { clock, stream } = open(async function* () {
      await new Promise(() => {});
      yield 1;
    });
    const waiting = [stream.next(), stream.next()].map((next) => rejection(next));
    await clock.advance(1_000);
    for (const error of await Promise.all(waiting)) expect(error).toMatchObject(expired);
  });

  test("ends when its handler has ended", async () => {
    const rollback = gate();
    const ends: unknown[] = [];
    const { clock, stream, context } = open(async function* (_request, { signal }) {
      try {
        yield 1;
        await new Promise((resolve) => signal.addEventListener("abort", resolve, { once: true }));
      } finally {
        await rollback.promise;
      }
    });
    context.onEnd((end) => ends.push(end));
    await stream.next();
    const refused = rejection(stream.next());
    await clock.advance(1_000);
    const error = (await refused) as RpcError;
    context.finish({ outcome: "error", error });
    await clock.advance(60_000);
    expect(ends).toEqual([]);
    rollback.resolve();
    await vi.waitFor(() => expect(ends).toEqual([{ outcome: "error", error }]));
  });

  test("goes on where that is said", async () => {
    const { handler } = patient();
    const { clock, stream, context } = open(handler, false);
    await stream.next();
    await clock.advance(10_000);
    expect(context.signal.aborted).toBe(false);
  });

  test("that ended before has no timer left", async () => {
    const { clock, stream } = open(async function* () {
      yield 1;
    });
    expect([await stream.next(), await stream.next()]).toMatchObject([{ value: 1 }, { done: true }]);
    await clock.advance(1_000);
    expect(await stream.next()).toMatchObject({ done: true });
  });

  test.each<[string, () => AsyncIterator<unknown>]>([
    [
      "when it is asked for a message",
      () => ({
        next: () => {
          throw new RangeError("no");
        },
      }),
    ],
    [
      "when it is opened",
      () => {
        throw new RangeError("no");
      },
    ],
  ])("whose handler's iterator throws %s, and does not reject, has no timer left", async (_, iterator) => {
    const { clock, stream, context } = open(() => ({ [Symbol.asyncIterator]: iterator }));
    const { signal } = context;
    expect(await rejection(stream.next() as Promise<unknown>)).toBeInstanceOf(RangeError);
    expect(clock.pending).toBe(0);
    expect(getEventListeners(signal, "abort")).toEqual([]);
  });

  test("is told of no mistake of a handler's that ends with what its signal aborted with", async () => {
    const warned = vi.spyOn(process, "emitWarning").mockImplementation(() => {});
    onTestFinished(() => warned.mockRestore());
    const { clock, stream } = open((_request, { signal }) => ({
      [Symbol.asyncIterator]: () => ({
        next: () => new Promise(() => {}),
        return: () => Promise.reject(signal.reason),
      }),
    }));
    const refused = rejection(stream.next() as Promise<unknown>);
    await clock.advance(1_000);
    expect(await refused).toMatchObject(expired);
    expect(warned).not.toHaveBeenCalled();
  });

  test("still aborts when its client leaves", async () => {
    const { handler, seen, left } = patient();
    const { stream, context } = open(handler);
    await stream.next();
    const pending = stream.next();
    context.cancel("left");
    expect(await pending).toMatchObject({ done: true });
    await left;
    expect(seen).toEqual(["left"]);
  });
});

describe("a stream that is left", () => {
  test("before its first message opens nothing and asks nobody", async () => {
    let asked = 0;
    const { serve } = open(async function* () {});
    const stream = serve([
      () => {
        asked += 1;
        return undefined;
      },
    ]);
    expect(await stream.return?.()).toMatchObject({ done: true });
    expect(await stream.next()).toMatchObject({ done: true });
    expect(asked).toBe(0);
  });

  test("while its caller is being authenticated, its handler is left too", async () => {
    const { handler, left } = patient();
    const { serve } = open(handler);
    const known = gate<Authentication>();
    const stream = serve([() => known.promise]);
    const first = stream.next();
    const returned = stream.return?.();
    known.resolve({ identity });
    expect(await first).toMatchObject({ done: false });
    expect(await returned).toMatchObject({ done: true });
    await left;
  });

  test("and two who ask at once open one handler", async () => {
    let opened = 0;
    const { serve } = open(async function* () {
      opened += 1;
      yield* [1, 2];
    });
    const stream = serve([async () => ({ identity })]);
    expect(await Promise.all([stream.next(), stream.next()])).toMatchObject([{ value: 1 }, { value: 2 }]);
    expect(opened).toBe(1);
  });
});

test("an authenticator's own mistake is no fault of the caller's", async () => {
  const { serve } = open(async function* () {});
  const mistake = new Error("a mistake");
  const stream = serve([
    () => {
      throw mistake;
    },
  ]);
  expect(await rejection(stream.next())).toBe(mistake);
});
