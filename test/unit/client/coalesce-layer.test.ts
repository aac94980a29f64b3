import { Metadata } from "nice-grpc-common";
import { expect, test } from "vitest";
import { currentCall, runInCall } from "../../../src/core/call-context.ts";
import { EncodedMessage } from "../../../src/core/method.ts";
import { listenersOf } from "../../support/driven.ts";
import { rejection } from "../../support/orders.ts";
import { aFailure, toldOf } from "../../support/retrying.ts";
import { jsonCodec } from "../../support/scripted.ts";
import { aRead, ranOut, sharing } from "../../support/sharing.ts";

const coalescing = (options = {}) => sharing({ coalesce: {} }, options);

test("calls for the same share one call, and each gets an answer of its own", async () => {
  const { attempts, attempt, begin, clock, events } = coalescing();
  const calls = [begin(), begin(), begin()];
  expect(attempts.length).toBe(1);
  attempt(1).reply({ lines: [1] }, { header: new Metadata({ h: "1" }), trailer: new Metadata({ t: "2" }) });
  const replies = await Promise.all(calls);
  expect(replies.map(({ message }) => message)).toEqual(Array(3).fill({ lines: [1] }));
  expect(new Set(replies.map(({ message }) => message)).size).toBe(3);
  expect(replies.map(({ header, trailer }) => [header.get("h"), trailer.get("t")])).toEqual(Array(3).fill(["1", "2"]));
  expect(new Set(replies.map(({ header }) => header)).size).toBe(3);
  expect(toldOf(events)).toEqual([
    ["coalesce", "joined", { waiting: 2 }],
    ["coalesce", "joined", { waiting: 3 }],
  ]);
  expect(clock.pending).toBe(0);
});

test("an error is everybody's, and nobody's who comes then", async () => {
  const { attempts, attempt, start } = coalescing();
  const calls = [start(), start()];
  const error = aFailure();
  attempt(1).fail(error);
  expect(await Promise.all(calls.map(rejection))).toEqual([error, error]);
  const next = start();
  expect(attempts.length).toBe(2);
  attempt(2).reply("order");
  expect(await next).toBe("order");
});

test.each([
  ["another request", { request: "other" }],
  ["metadata of its own", { metadata: new Metadata({ authorization: "b" }) }],
  ["another partition", { options: { partition: "b" } }],
  ["another number of attempts", { options: { maxAttempts: 1 } }],
  ["no retries", { options: { retry: false } }],
  ["the wish to wait for a connection", { options: { waitForReady: true } }],
  ["the wish to ask the server itself", { options: { cache: false } }],
  ["an option of somebody else's", { options: { foreign: 1 } as object }],
])("a call with %s shares nothing with one without", (_, changes) => {
  const { attempts, start } = coalescing();
  start();
  start(changes);
  expect(attempts.length).toBe(2);
});

test("equal metadata share, in whatever order they were written, and metadata that only look alike do not", () => {
  const { attempts, start } = coalescing();
  const both = () => new Metadata({ a: "1", b: ["2", "3"], "c-bin": new Uint8Array([255]) });
  start({ metadata: both() });
  start({ metadata: new Metadata({ b: ["2", "3"], "c-bin": new Uint8Array([255]), a: "1" }) });
  expect(attempts.length).toBe(1);
  start({ metadata: new Metadata({ a: "1", b: "23", "c-bin": new Uint8Array([255]) }) });
  start({ metadata: new Metadata({ a: "1", b: ["2", "3"], "c-bin": new Uint8Array([254]) }) });
  expect(attempts.length).toBe(3);
});

test("a call's own partition takes the place of the client's", () => {
  const { attempts, start } = coalescing({ partition: "a" });
  start({ options: { partition: "a" } });
  start();
  expect(attempts.length).toBe(1);
  start({ options: { partition: "" } });
  expect(attempts.length).toBe(2);
});

test("what an application does to its request while the call is under way, and to its answer, no other sees", async () => {
  const { attempt, start } = coalescing();
  const request = { id: "a" };
  const calls = [start({ request }), start({ request: { id: "a" } })];
  request.id = "b";
  expect(attempt(1).call.request).toEqual({ id: "a" });
  attempt(1).reply({ of: "a" });
  const [first, second] = (await Promise.all(calls)) as [{ of: string }, { of: string }];
  first.of = "changed";
  expect(second.of).toBe("a");
});

test("a request that is encoded already is shared with one that is not", () => {
  const { attempts, start } = coalescing();
  start({ request: new EncodedMessage(jsonCodec.encode("request")) });
  start({ request: "request" });
  expect(attempts.length).toBe(1);
});

test("a request that cannot be encoded goes its own way, for the attempt to say", () => {
  const { attempts, start } = coalescing();
  start({ request: 1n });
  start({ request: 1n });
  expect(attempts.map(({ call }) => call.request)).toEqual([1n, 1n]);
});

test("a caller that leaves leaves the others waiting; the last one cancels", async () => {
  const { attempt, attempts, start, clock, events } = coalescing();
  const [one, two] = [new AbortController(), new AbortController()];
  const calls = [start({ signal: one.signal }), start({ signal: two.signal })];
  one.abort("one");
  expect(await rejection(calls[0] as Promise<unknown>)).toBe("one");
  expect(attempt(1).over).toBe(false);
  two.abort("two");
  expect(await rejection(calls[1] as Promise<unknown>)).toBe("two");
  expect(attempt(1).cancelledWith).toBe("two");
  expect([clock.pending, listenersOf(one.signal), listenersOf(two.signal)]).toEqual([0, 0, 0]);
  expect(toldOf(events).at(-1)).toEqual(["coalesce", "cancelled", {}]);
  start();
  expect(attempts.length).toBe(2);
});

test("a caller that has left already neither joins nor begins", async () => {
  const { attempts, start } = coalescing();
  expect(await rejection(start({ signal: AbortSignal.abort("gone") }))).toBe("gone");
  expect(attempts.length).toBe(0);
});

test("each keeps its own deadline, and the shared call has the latest", async () => {
  const { attempt, attempts, start, clock } = coalescing();
  const hasty = start({ deadline: 100 });
  const patient = start({ deadline: 900 });
  await clock.advance(99);
  const early = rejection(hasty);
  await clock.advance(1);
  expect(await early).toMatchObject({ reason: "DEADLINE_EXCEEDED" });
  expect(attempt(1).over).toBe(false);
  await clock.advance(700);
  attempt(1).reply("order");
  expect(await patient).toBe("order");
  expect([attempts.length, clock.pending]).toEqual([1, 0]);
});

test("it is cancelled when the time of the last one is over, so that a breaker knows why", async () => {
  const { attempt, start, clock } = coalescing();
  const calls = [start({ deadline: 100 }), start({ deadline: 300 })];
  await clock.advance(299);
  expect(attempt(1).over).toBe(false);
  await clock.advance(1);
  for (const call of calls) expect(await rejection(call)).toMatchObject({ reason: "DEADLINE_EXCEEDED" });
  expect(attempt(1).cancelledWith).toMatchObject({ name: "TimeoutError" });
  expect(clock.pending).toBe(0);
});

test("who comes later has time left when the shared call's is over: it is made anew for those", async () => {
  const { attempt, attempts, start, clock, events } = coalescing();
  const first = start();
  await clock.advance(400);
  const [second, third] = [start(), start({ deadline: 1_100 })];
  await clock.advance(600);
  expect(await rejection(first)).toMatchObject({ reason: "DEADLINE_EXCEEDED", details: "ran out" });
  expect([attempts.length, attempt(2).call.deadline, attempt(2).call.startedAt]).toEqual([2, 2_000, 1_000]);
  expect(toldOf(events).at(-1)).toEqual(["coalesce", "renewed", { waiting: 2 }]);
  await clock.advance(100);
  expect(await rejection(third)).toMatchObject({ reason: "DEADLINE_EXCEEDED" });
  attempt(2).reply("order");
  expect(await second).toBe("order");
  expect(clock.pending).toBe(0);
});

test("a server's own DEADLINE_EXCEEDED, long before, is an error like another", async () => {
  const { attempt, attempts, start, clock } = coalescing();
  const first = start();
  await clock.advance(400);
  const second = start();
  const error = ranOut().with({ reason: "STATUS", origin: "wire" });
  attempt(1).fail(error);
  expect(await Promise.all([first, second].map(rejection))).toEqual([error, error]);
  expect(attempts.length).toBe(1);
});

test("it runs outside of the call that is being served, which may end before", () => {
  const seen: unknown[] = [];
  const { layers } = coalescing();
  const { attempt, start } = coalescing();
  const handler = layers.coalesce?.unary(async () => {
    seen.push(currentCall());
    throw new Error("enough");
  }, aRead);
  start();
  const { call } = attempt(1);
  void runInCall({} as never, () => handler?.(call))?.catch(() => {});
  expect(seen).toEqual([undefined]);
});

test("an answer that cannot be copied fails those who would need one", async () => {
  const { attempt, start } = coalescing();
  const calls = [start(), start()];
  attempt(1).reply(1n);
  expect(await calls[0]).toBe(1n);
  expect(await rejection(calls[1] as Promise<unknown>)).toBeInstanceOf(TypeError);
});
