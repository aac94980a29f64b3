import { getEventListeners } from "node:events";
import { Metadata } from "nice-grpc-common";
import { describe, expect, test, vi } from "vitest";
import type { Call } from "../../../src/core/call.ts";
import { RpcError } from "../../../src/core/errors.ts";
import { EncodedMessage } from "../../../src/core/method.ts";
import { Status } from "../../../src/core/status.ts";
import { fakeClock } from "../../../src/testing/index.ts";
import { channelAttempt } from "../../../src/transport/channel-attempt.ts";
import { aCall, aMethod, jsonCodec } from "../../support/scripted.ts";
import { ScriptedChannel } from "../../support/scripted-channel.ts";

const wall = 1_800_000_000_000;

function setUp(changes: Partial<Call> = {}) {
  const scripted = new ScriptedChannel();
  const clock = fakeClock({ wallTime: wall });
  const send = () => channelAttempt(scripted.channel, clock).unary(aCall(changes));
  return { scripted, clock, send };
}

const listeners = (signal: AbortSignal) => getEventListeners(signal, "abort").length;

describe("what is sent", () => {
  test("is the path, the metadata, the message and the end", () => {
    const { scripted, send } = setUp({ metadata: new Metadata({ a: "b" }), headers: { "x-own": "1" } });
    void send();
    expect(scripted.call).toMatchObject({ path: "/test.Service/unary", deadline: Infinity, sent: ["request", "end"] });
    expect(scripted.call.metadata.getMap()).toEqual({ a: "b", "x-own": "1" });
    expect(scripted.call.metadata.getOptions()).toEqual({});
  });

  test("is a message that is encoded already, as it is", () => {
    const { scripted, send } = setUp({ request: new EncodedMessage(Buffer.from('"as it is"')) });
    void send();
    expect(scripted.call.sent).toEqual(["as it is", "end"]);
  });

  test("waits for a connection only if asked to", () => {
    const { scripted, send } = setUp({ options: { waitForReady: true } });
    void send();
    expect(scripted.call.metadata.getOptions()).toEqual({ waitForReady: true });
  });

  test.each([
    [300, wall + 300],
    [299.2, wall + 300],
    [0.001, wall + 1],
    [2_147_483_000, wall + 2_147_483_000],
    [2_147_483_001, Number.POSITIVE_INFINITY],
    [Number.POSITIVE_INFINITY, Number.POSITIVE_INFINITY],
  ])(
    "D1 a deadline in %d ms is %d on the wall clock: whole, and none where a server would overflow",
    (ms, expected) => {
      const { scripted, send } = setUp({ deadline: ms });
      void send();
      expect(scripted.call.deadline).toBe(expected);
    },
  );

  test.each<[string, Partial<Call>, string]>([
    [
      "a message of another type",
      { request: 1n },
      "the request cannot be encoded: Do not know how to serialize a BigInt",
    ],
    [
      "metadata that is not ASCII",
      { metadata: new Map([["a", ["ü"]]]) as never },
      'the request cannot be encoded: the metadata "a" cannot be sent: a text has printable ASCII alone; bytes go under a key that ends in -bin',
    ],
    [
      "one message where many are taken",
      { method: aMethod("client-stream") },
      "the request cannot be encoded: a method that streams requests takes an AsyncIterable of them",
    ],
    [
      "nothing where many are taken",
      { method: aMethod("client-stream"), request: undefined },
      "the request cannot be encoded: a method that streams requests takes an AsyncIterable of them",
    ],
  ])("is nothing if it cannot be: %s", async (_, changes, details) => {
    const { scripted, send } = setUp(changes);
    const error = await send().catch((thrown) => thrown);
    expect(error).toBeInstanceOf(RpcError);
    expect(error).toMatchObject({ reason: "REQUEST_NOT_ENCODABLE", details, attempts: 0 });
    expect(scripted.calls).toEqual([]);
  });

  test("is nothing once the client is closed", async () => {
    const { scripted, send } = setUp();
    scripted.closed = true;
    await expect(send()).rejects.toMatchObject({
      reason: "CLIENT_CLOSED",
      attempts: 0,
      message: "/test.Service/unary UNAVAILABLE: the client is closed",
    });
  });

  test("is nothing if the caller left before", async () => {
    const { scripted, send } = setUp({ signal: AbortSignal.abort("gone") });
    await expect(send()).rejects.toBe("gone");
    expect(scripted.calls).toEqual([]);
  });
});

describe("an answer", () => {
  test("is the message with header and trailer", async () => {
    const { scripted, send } = setUp();
    const reply = send();
    scripted.call.header({ h: "1" });
    scripted.call.message({ id: 7 });
    scripted.call.status(Status.OK, "", { t: "2" });
    const { message, header, trailer } = await reply;
    expect([message, header.get("h"), trailer.get("t")]).toEqual([{ id: 7 }, "1", "2"]);
    expect(scripted.call.cancelled).toBeUndefined();
  });

  test.each([
    ["OK without a message", [], "RESPONSE_COUNT", "OK without a response"],
    ["a second message", ["1", "2"], "RESPONSE_COUNT", "more than one response"],
    ["no such message", ["{"], "RESPONSE_NOT_DECODABLE", "the response is no such message"],
  ] as const)("that breaks the contract is refused: %s", async (_, messages, reason, details) => {
    const { scripted, send } = setUp();
    const reply = send();
    scripted.call.header();
    for (const message of messages) scripted.call.bytes(message);
    scripted.call.status(Status.OK);
    await expect(reply).rejects.toMatchObject({ reason, details, headersReceived: true, code: Status.INTERNAL });
  });

  test("a second message is not waited for: the server is told to stop", async () => {
    const { scripted, send } = setUp();
    const reply = send();
    scripted.call.message(1);
    expect(scripted.call.reads).toBe(2);
    scripted.call.message(2);
    expect(scripted.call.cancelled).toEqual({ code: Status.CANCELLED, details: "cancelled by the client" });
    await expect(reply).rejects.toMatchObject({ reason: "RESPONSE_COUNT" });
  });

  test.each([
    ["made here", false, {}, { origin: "local", reason: "TRANSPORT", headersReceived: false }],
    ["with trailers", false, { t: "2" }, { origin: "wire", reason: "STATUS", headersReceived: false }],
    ["after headers", true, {}, { origin: "wire", reason: "STATUS", headersReceived: true }],
  ] as const)("that is a status fails the call: %s", async (_, headers, trailer, expected) => {
    const { scripted, send } = setUp();
    const reply = send();
    for (const header of headers ? [{}] : []) scripted.call.header(header);
    scripted.call.status(Status.UNAVAILABLE, "down", trailer);
    await expect(reply).rejects.toMatchObject({ ...expected, details: "down", code: Status.UNAVAILABLE });
  });

  test("D2 CANCELLED is what it says 1 ms before the deadline, and DEADLINE_EXCEEDED at it", async () => {
    const { scripted, clock, send } = setUp({ deadline: 300 });
    const early = send();
    await clock.advance(299);
    scripted.call.status(Status.CANCELLED, "reset");
    await expect(early).rejects.toMatchObject({ code: Status.CANCELLED, reason: "CANCELLED" });

    const late = send();
    await clock.advance(1);
    scripted.call.status(Status.CANCELLED, "reset");
    await expect(late).rejects.toMatchObject({ code: Status.DEADLINE_EXCEEDED, reason: "DEADLINE_EXCEEDED" });
  });
});

describe("a deadline that is too far away for the wire", () => {
  const distant = 2_147_483_648;

  test("is kept here: not 1 ms before, and at it", async () => {
    const { scripted, clock, send } = setUp({ deadline: distant });
    const settled = vi.fn();
    const reply = send();
    reply.catch(settled);
    await clock.advance(distant - 1);
    expect(settled).not.toHaveBeenCalled();
    await clock.advance(1);
    await expect(reply).rejects.toMatchObject({ reason: "DEADLINE_EXCEEDED", origin: "local", attempts: 1 });
    expect(scripted.call.cancelled).toBeDefined();
    expect(clock.pending).toBe(0);
  });

  test("leaves no timer once the call is over", async () => {
    const { scripted, clock, send } = setUp({ deadline: distant });
    const reply = send();
    expect(clock.pending).toBe(1);
    scripted.call.message(1);
    scripted.call.status(Status.OK);
    await reply;
    expect(clock.pending).toBe(0);
  });
});

describe("a caller that leaves", () => {
  test("gets its own reason at once; the server is told, and what comes late goes nowhere", async () => {
    const controller = new AbortController();
    const { scripted, send } = setUp({ signal: controller.signal });
    const reply = send();
    controller.abort("enough");
    scripted.call.header();
    scripted.call.message(1);
    scripted.call.status(Status.OK);
    await expect(reply).rejects.toBe("enough");
    expect(scripted.call.cancelled).toEqual({ code: Status.CANCELLED, details: "cancelled by the client" });
  });

  test("between message and status gets its own reason", async () => {
    const controller = new AbortController();
    const { scripted, send } = setUp({ signal: controller.signal });
    const reply = send();
    scripted.call.message(1);
    controller.abort("enough");
    await expect(reply).rejects.toBe("enough");
  });

  test("after the answer cancels nothing", async () => {
    const controller = new AbortController();
    const { scripted, send } = setUp({ signal: controller.signal });
    const reply = send();
    scripted.call.message(1);
    scripted.call.status(Status.OK);
    controller.abort("enough");
    expect((await reply).message).toBe(1);
    expect(scripted.call.cancelled).toBeUndefined();
  });

  test.each([
    ["succeeded", Status.OK],
    ["failed", Status.NOT_FOUND],
  ])("leaves no listener on its signal once the call %s", async (_, code) => {
    const { signal } = new AbortController();
    const { scripted, send } = setUp({ signal });
    const reply = send();
    expect(listeners(signal)).toBe(1);
    scripted.call.message(1);
    scripted.call.status(code);
    await reply.catch(() => {});
    expect(listeners(signal)).toBe(0);
  });
});

describe("a client-stream's requests", () => {
  const clientStream = (request: AsyncIterable<unknown>, takes = true, changes: Partial<Call> = {}) => {
    const scripted = new ScriptedChannel({ takes });
    const method = aMethod("client-stream", { request: jsonCodec });
    const reply = channelAttempt(scripted.channel, fakeClock()).unary(aCall({ method, request, ...changes }));
    return { scripted, reply, settled: reply.catch((error) => error) };
  };
  const turn = () => new Promise((resolve) => setImmediate(resolve));

  test("go out in order, each when the one before was taken, then the end", async () => {
    async function* two() {
      yield 1;
      yield 2;
    }
    const { scripted } = clientStream(two(), false);
    await turn();
    expect(scripted.call.sent).toEqual([1]);
    scripted.call.taken();
    await turn();
    expect(scripted.call.sent).toEqual([1, 2]);
    scripted.call.taken();
    await turn();
    expect(scripted.call.sent).toEqual([1, 2, "end"]);
  });

  test("that fail end the call with their own error", async () => {
    const error = new Error("from the iterable");
    async function* failing() {
      yield 1;
      throw error;
    }
    const { scripted, settled } = clientStream(failing());
    expect(await settled).toBe(error);
    expect(scripted.call.cancelled).toBeDefined();
  });

  test("that cannot be encoded end the call, and the iterable may clean up", async () => {
    const cleanedUp = vi.fn();
    async function* bad() {
      try {
        yield 1;
        yield 2n;
      } finally {
        cleanedUp();
      }
    }
    const { scripted, settled } = clientStream(bad());
    expect(await settled).toMatchObject({ reason: "REQUEST_NOT_ENCODABLE" });
    await turn();
    expect(cleanedUp).toHaveBeenCalledOnce();
    expect(scripted.call.sent).toEqual([1]);
  });

  test.each([
    [
      "the server answers early",
      (scripted: ScriptedChannel, _: AbortController) => scripted.call.status(Status.ABORTED),
    ],
    ["the caller leaves", (_: ScriptedChannel, controller: AbortController) => controller.abort("enough")],
  ])("stop when %s, and the iterable may clean up", async (_, stop) => {
    const cleanedUp = vi.fn();
    async function* endless() {
      try {
        for (let n = 0; ; n++) yield n;
      } finally {
        cleanedUp();
      }
    }
    const controller = new AbortController();
    const { scripted, settled } = clientStream(endless(), false, { signal: controller.signal });
    await turn();
    stop(scripted, controller);
    await settled;
    await turn();
    expect(cleanedUp).toHaveBeenCalledOnce();
    expect(scripted.call.sent).toEqual([0]);
  });

  test("stop when the caller leaves from inside the very first step", async () => {
    const controller = new AbortController();
    const steps = vi.fn(() => controller.abort("enough"));
    const left = vi.fn(async () => ({ done: true, value: undefined }));
    const iterator = {
      next: async () => {
        steps();
        return { done: false, value: 1 };
      },
      return: left,
    };
    const request = { [Symbol.asyncIterator]: () => iterator } as never;
    const { scripted, settled } = clientStream(request, true, { signal: controller.signal });
    expect(await settled).toBe("enough");
    await turn();
    expect(scripted.call.sent).toEqual([]);
    expect(steps).toHaveBeenCalledOnce();
    expect(left).toHaveBeenCalledOnce();
  });

  test.each([
    ["has none", undefined],
    [
      "throws",
      () => {
        throw new Error("from return()");
      },
    ],
    ["rejects", () => Promise.reject(new Error("from return()"))],
    ["returns no promise", () => ({ done: true, value: undefined })],
  ])("an iterable whose return() %s does not keep the call from ending", async (_, leave) => {
    const never = new Promise<never>(() => {});
    const iterator = { next: () => never, ...(leave && { return: leave }) };
    const { scripted, settled } = clientStream({ [Symbol.asyncIterator]: () => iterator } as never);
    scripted.call.status(Status.ABORTED, "enough");
    expect(await settled).toMatchObject({ code: Status.ABORTED });
  });
});
