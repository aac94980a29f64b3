import { getEventListeners } from "node:events";
import { ClientError, Metadata, type CallOptions as NiceCallOptions, Status } from "nice-grpc-common";
import { describe, expect, test, vi } from "vitest";
import type { Call } from "../../../src/core/call.ts";
import { RpcError } from "../../../src/core/errors.ts";
import type { StreamEnd } from "../../../src/core/message-stream.ts";
import { fakeClock } from "../../../src/testing/index.ts";
import { type NiceCarrier, niceAttempt } from "../../../src/transport/index.ts";
import { aCall, aMethod } from "../../support/scripted.ts";

const done = { done: true, value: undefined };

/** The rest of a nice-grpc chain, as a test writes it; each call is kept. Like nice-grpc's, it ends on abort. */
function chain() {
  const sent: { request: unknown; options: NiceCallOptions }[] = [];
  const answers: PromiseWithResolvers<unknown>[] = [];
  const answer = () => {
    const pending = Promise.withResolvers<unknown>();
    answers.push(pending);
    return pending.promise;
  };
  const last = <T>(list: readonly T[]): T => list.at(-1) ?? expect.unreachable("nothing was sent");
  const orAborted = (options: NiceCallOptions, work: Promise<unknown>) => {
    options.signal?.throwIfAborted();
    const aborted = Promise.withResolvers<never>();
    options.signal?.addEventListener("abort", () => aborted.reject(options.signal?.reason), { once: true });
    return Promise.race([work, aborted.promise]);
  };
  // biome-ignore lint/correctness/useYield: nice-grpc's generators of unary methods return the response
  async function* unary(request: unknown, options: NiceCallOptions): AsyncGenerator<never, unknown, undefined> {
    sent.push({ request, options });
    return await orAborted(options, answer());
  }
  async function* stream(request: unknown, options: NiceCallOptions): AsyncGenerator<unknown, void, undefined> {
    sent.push({ request, options });
    for (;;) {
      const message = await orAborted(options, answer());
      if (message === "end") return;
      yield message;
    }
  }
  const carrier = (next: unknown, options: object = {}) => ({ next, options }) as NiceCarrier;
  return {
    sent,
    options: () => last(sent).options,
    metadata: () => last(sent).options.metadata as Metadata,
    unary: (options?: object) => carrier(unary, options),
    stream: (options?: object) => carrier(stream, options),
    reply: (message: unknown) => last(answers).resolve(message),
    fail: (error: unknown) => last(answers).reject(error),
  };
}

const listeners = (signal: AbortSignal) => getEventListeners(signal, "abort").length;

describe("what is sent", () => {
  test("is the request, the options of others, and our metadata", async () => {
    const rest = chain();
    const metadata = new Metadata({ a: "b" });
    const call = aCall({ metadata, headers: { "x-own": "1" }, carrier: rest.unary({ retry: true }) });
    const reply = niceAttempt(fakeClock()).unary(call);
    expect(rest.sent[0]?.request).toBe("request");
    expect(rest.options()).toMatchObject({ retry: true });
    expect([...rest.metadata()]).toEqual([
      ["a", ["b"]],
      ["x-own", ["1"]],
    ]);
    expect([...metadata]).toEqual([["a", ["b"]]]);
    rest.reply("ok");
    expect((await reply).message).toBe("ok");
  });

  test.each([
    [1_300, "300m"],
    [1_300.001, "301m"],
    [Number.POSITIVE_INFINITY, undefined],
    [2_147_484_001, undefined],
  ])("D1 at 1,000 a deadline of %d is grpc-timeout %s", async (deadline, header) => {
    const rest = chain();
    void niceAttempt(fakeClock({ now: 1_000 })).unary(aCall({ deadline, carrier: rest.unary() }));
    expect(rest.metadata().get("grpc-timeout")).toBe(header);
    rest.reply("ok");
  });

  test("D1 what remains is reckoned when the attempt begins", async () => {
    const rest = chain();
    const clock = fakeClock();
    const stream = niceAttempt(clock).stream(aCall({ deadline: 300, carrier: rest.stream() }));
    await clock.advance(100);
    void stream.next();
    expect(rest.metadata().get("grpc-timeout")).toBe("200m");
    await stream.return();
  });
});

describe("a unary attempt", () => {
  test("gives header and trailer with its message", async () => {
    const rest = chain();
    const reply = niceAttempt(fakeClock()).unary(aCall({ carrier: rest.unary(), options: { onHeader: () => {} } }));
    rest.options().onHeader?.(new Metadata({ h: "1" }));
    rest.options().onTrailer?.(new Metadata({ t: "2" }));
    rest.reply("ok");
    const { header, trailer } = await reply;
    expect([header.get("h"), trailer.get("t")]).toEqual(["1", "2"]);
  });

  test("has empty header and trailer if none came", async () => {
    const rest = chain();
    const reply = niceAttempt(fakeClock()).unary(aCall({ carrier: rest.unary() }));
    rest.reply("ok");
    const { header, trailer } = await reply;
    expect([[...header], [...trailer]]).toEqual([[], []]);
  });

  test("does not have headers converted that nobody wants", () => {
    const rest = chain();
    void niceAttempt(fakeClock()).unary(aCall({ carrier: rest.unary() }));
    expect(rest.options().onHeader).toBeUndefined();
  });

  const trailersOnly = new Metadata({ "content-type": "application/grpc" });
  test.each([
    ["neither header nor trailer", false, undefined, "local", "TRANSPORT"],
    ["a header", true, undefined, "wire", "STATUS"],
    ["trailers alone", false, trailersOnly, "wire", "STATUS"],
  ] as const)(
    "fails as a ClientError says where headers are watched: %s",
    async (_, header, trailer, origin, reason) => {
      const rest = chain();
      const reply = niceAttempt(fakeClock()).unary(aCall({ carrier: rest.unary(), options: { onHeader: () => {} } }));
      const told = [...(header ? [() => rest.options().onHeader?.(new Metadata())] : [])];
      for (const tell of told) tell();
      rest.options().onTrailer?.(trailer ?? new Metadata());
      rest.fail(new ClientError("/test.Service/unary", Status.UNAVAILABLE, "down"));
      const error = await reply.catch((thrown) => thrown);
      expect(error).toBeInstanceOf(RpcError);
      expect(error).toMatchObject({ origin, reason, details: "down", headersReceived: header });
    },
  );

  test.each([
    [
      "no connection could be made",
      "No connection established. Last error: none",
      undefined,
      "local",
      "TRANSPORT",
      false,
    ],
    ["it broke", "Connection dropped", undefined, "local", "TRANSPORT", false],
    ["the server sent trailers alone", "down", trailersOnly, "wire", "STATUS", false],
    ["the server sent trailers after headers", "down", new Metadata({ t: "2" }), "wire", "STATUS", true],
    ["the server sent a bare status after headers", "down", undefined, "wire", "STATUS", true],
  ] as const)("tells from its end whether headers came where they are not watched: %s", async (...row) => {
    const [, details, trailer, origin, reason, headersReceived] = row;
    const rest = chain();
    const reply = niceAttempt(fakeClock()).unary(aCall({ carrier: rest.unary() }));
    rest.options().onTrailer?.(trailer ?? new Metadata());
    rest.fail(new ClientError("/test.Service/unary", Status.UNAVAILABLE, details));
    expect(await reply.catch((thrown) => thrown)).toMatchObject({ origin, reason, details, headersReceived });
  });

  test("what is no ClientError comes through as it is", async () => {
    const rest = chain();
    const reply = niceAttempt(fakeClock()).unary(aCall({ carrier: rest.unary() }));
    const error = new TypeError("of another middleware");
    rest.fail(error);
    await expect(reply).rejects.toBe(error);
  });

  test("ends at its deadline, and not 1 ms before; a late answer goes nowhere", async () => {
    const rest = chain();
    const clock = fakeClock();
    const settled = vi.fn();
    const reply = niceAttempt(clock).unary(aCall({ deadline: 300, carrier: rest.unary() }));
    reply.catch(settled);
    await clock.advance(299);
    expect(settled).not.toHaveBeenCalled();
    expect(rest.options().signal?.aborted).toBe(false);
    await clock.advance(1);
    expect(rest.options().signal?.aborted).toBe(true);
    await expect(reply).rejects.toMatchObject({
      reason: "DEADLINE_EXCEEDED",
      origin: "local",
      path: "/test.Service/unary",
    });
    rest.reply("late");
    expect(clock.pending).toBe(0);
  });

  test("D2 a CANCELLED after the deadline is DEADLINE_EXCEEDED, though the timer has not fired", async () => {
    const rest = chain();
    const clock = fakeClock();
    const late = { ...clock, now: () => 300 };
    const held = { ...clock, now: () => held.time(), setTimer: () => ({ cancel: () => {} }), time: () => 0 };
    const reply = niceAttempt(held as never).unary(aCall({ deadline: 300, carrier: rest.unary() }));
    held.time = late.now;
    rest.fail(new ClientError("/p", Status.CANCELLED, "cancelled"));
    await expect(reply).rejects.toMatchObject({ reason: "DEADLINE_EXCEEDED", code: Status.DEADLINE_EXCEEDED });
  });

  test("a caller that leaves gets its own reason, and the rest of the chain too", async () => {
    const rest = chain();
    const controller = new AbortController();
    const call = aCall({ signal: controller.signal, deadline: 300, carrier: rest.unary() });
    const clock = fakeClock();
    const reply = niceAttempt(clock).unary(call);
    controller.abort("enough");
    await expect(reply).rejects.toBe("enough");
    expect(rest.options().signal?.reason).toBe("enough");
    expect([clock.pending, listeners(controller.signal)]).toEqual([0, 0]);
  });

  test("a caller that left before sends nothing", async () => {
    const rest = chain();
    const call = aCall({ signal: AbortSignal.abort("gone"), carrier: rest.unary() });
    await expect(niceAttempt(fakeClock()).unary(call)).rejects.toBe("gone");
    expect(rest.sent).toEqual([]);
  });

  test.each([
    ["succeeded", (rest: ReturnType<typeof chain>) => rest.reply("ok")],
    ["failed", (rest: ReturnType<typeof chain>) => rest.fail(new Error("no"))],
  ])("leaves neither timer nor listener once it %s", async (_, settle) => {
    const rest = chain();
    const clock = fakeClock();
    const { signal } = new AbortController();
    const reply = niceAttempt(clock).unary(aCall({ signal, deadline: 300, carrier: rest.unary() }));
    expect([clock.pending, listeners(signal)]).toEqual([1, 1]);
    settle(rest);
    await reply.catch(() => {});
    expect([clock.pending, listeners(signal)]).toEqual([0, 0]);
  });
});

describe("a stream's attempt", () => {
  const open = (changes: Partial<Call> = {}) => {
    const rest = chain();
    const clock = fakeClock();
    const method = aMethod("server-stream");
    const stream = niceAttempt(clock).stream(aCall({ method, carrier: rest.stream(), ...changes }));
    const told: unknown[] = [];
    stream.watch({
      onHeaders: (header) => told.push(`headers ${header.get("h")}`),
      onFirstMessage: () => told.push("first message"),
      onEnd: (end: StreamEnd) => told.push(end.error ? `${end.outcome} ${end.error.reason}` : end.outcome),
    });
    return { rest, clock, stream, told };
  };
  const turn = () => new Promise((resolve) => setImmediate(resolve));

  test("is sent with its first next(), gives its messages and tells its watchers", async () => {
    const { rest, clock, stream, told } = open({ deadline: 300 });
    expect(rest.sent).toEqual([]);
    const first = stream.next();
    rest.options().onHeader?.(new Metadata({ h: "1" }));
    rest.reply("a");
    expect(await first).toEqual({ done: false, value: "a" });
    const second = stream.next();
    await turn();
    rest.reply("b");
    expect(await second).toEqual({ done: false, value: "b" });
    const end = stream.next();
    await turn();
    rest.reply("end");
    expect(await end).toEqual(done);
    expect(await stream.next()).toEqual(done);
    expect(told).toEqual(["headers 1", "first message", "ok"]);
    expect(clock.pending).toBe(0);
  });

  test("fails once; a second next() that waits then is done", async () => {
    const { rest, stream, told } = open();
    const waiting = Promise.allSettled([stream.next(), stream.next()]);
    rest.fail(new ClientError("/p", Status.UNAVAILABLE, "down"));
    const [first, second] = await waiting;
    expect(first).toMatchObject({ status: "rejected", reason: { reason: "TRANSPORT" } });
    expect(second).toEqual({ status: "fulfilled", value: done });
    expect(await stream.next()).toEqual(done);
    expect(told).toEqual(["error TRANSPORT"]);
  });

  test("left before its first next(), is never sent", async () => {
    const { rest, stream, told } = open();
    expect(await stream.return()).toEqual(done);
    expect(await stream.next()).toEqual(done);
    expect([rest.sent, told]).toEqual([[], ["cancelled"]]);
  });

  test("left while a next() waits, ends it as done and cancels the rest of the chain", async () => {
    const { rest, clock, stream, told } = open({ deadline: 300 });
    const waiting = stream.next();
    expect(await stream.return()).toEqual(done);
    expect(await waiting).toEqual(done);
    expect(rest.options().signal?.aborted).toBe(true);
    expect(await stream.return()).toEqual(done);
    expect([told, clock.pending]).toEqual([["cancelled"], 0]);
  });

  test("ends at its deadline, and not 1 ms before", async () => {
    const { rest, clock, stream, told } = open({ deadline: 300 });
    const waiting = stream.next();
    const settled = vi.fn();
    waiting.catch(settled);
    await clock.advance(299);
    expect(settled).not.toHaveBeenCalled();
    await clock.advance(1);
    await expect(waiting).rejects.toMatchObject({ reason: "DEADLINE_EXCEEDED" });
    rest.reply("late");
    expect(await stream.next()).toEqual(done);
    expect(told).toEqual(["error DEADLINE_EXCEEDED"]);
  });

  test("a caller that leaves gets its own reason; watchers hear of a cancel", async () => {
    const controller = new AbortController();
    const { clock, stream, told } = open({ signal: controller.signal, deadline: 300 });
    const waiting = stream.next();
    controller.abort("enough");
    await expect(waiting).rejects.toBe("enough");
    expect(await stream.next()).toEqual(done);
    expect(told).toEqual(["cancelled"]);
    expect([clock.pending, listeners(controller.signal)]).toEqual([0, 0]);
  });

  test("a caller that left before sends nothing", async () => {
    const { rest, stream, told } = open({ signal: AbortSignal.abort("gone") });
    await expect(stream.next()).rejects.toBe("gone");
    expect([rest.sent, told]).toEqual([[], ["cancelled"]]);
  });

  test("a caller that leaves between two messages is heard at once, though nobody asks for another", async () => {
    const controller = new AbortController();
    const { rest, clock, stream, told } = open({ signal: controller.signal, deadline: 300 });
    const first = stream.next();
    rest.reply("a");
    await first;
    controller.abort("enough");
    expect(told).toEqual(["first message", "cancelled"]);
    expect([clock.pending, listeners(controller.signal)]).toEqual([0, 0]);
    await expect(stream.next()).rejects.toBe("enough");
    expect(await stream.next()).toEqual(done);
  });

  test("a deadline between two messages is heard at once, and the rest of the chain may clean up", async () => {
    const cleanedUp = vi.fn();
    async function* yielding() {
      try {
        yield "a";
      } finally {
        cleanedUp();
      }
    }
    const carrier = { next: yielding, options: {} } as never;
    const { clock, stream, told } = open({ deadline: 300, carrier });
    await stream.next();
    await clock.advance(299);
    expect(told).toEqual(["first message"]);
    await clock.advance(1);
    expect(told).toEqual(["first message", "error DEADLINE_EXCEEDED"]);
    expect(cleanedUp).toHaveBeenCalledOnce();
    await expect(stream.next()).rejects.toMatchObject({ reason: "DEADLINE_EXCEEDED" });
    expect(await stream.next()).toEqual(done);
  });
});

describe("the stack of an error that is made while a call is sent", () => {
  const failing = (name: string) =>
    ({
      [name]: () =>
        ({
          next: async () => {
            throw new TypeError("made while sending");
          },
        }) as never,
    })[name] as NiceCarrier["next"];
  const stackOf = async (name: string) => {
    const call = aCall({ carrier: { next: failing(name), options: {} } });
    const error = await niceAttempt(fakeClock())
      .unary(call)
      .catch((thrown: unknown) => thrown);
    return (error as Error).stack ?? "";
  };

  test("is there where another's middleware runs", async () => {
    expect(await stackOf("middleware")).toContain("nice-attempt.test.ts");
  });

  test("is spared where only nice-grpc does, and for that moment alone", async () => {
    expect(await stackOf("unaryMethod")).not.toContain("nice-attempt.test.ts");
    expect(new Error("after").stack).toContain("nice-attempt.test.ts");
  });
});
