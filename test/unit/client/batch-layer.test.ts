import { expect, test } from "vitest";
import { listenersOf } from "../../support/driven.ts";
import { gathering } from "../../support/gathering.ts";
import { rejection } from "../../support/orders.ts";
import { aFailure } from "../../support/retrying.ts";
import type { ScriptedUnary } from "../../support/scripted.ts";

test("a batch is sent when its first call has waited as long as it may, whoever came later", async () => {
  const { clock, many, call, reply } = gathering();
  const a = call("a");
  await clock.advance(4);
  const b = call("b");
  expect(many.calls.length).toBe(0);
  await clock.advance(1);
  expect(many.calls.map(({ request }) => request)).toEqual([{ requests: [{ id: "a" }, { id: "b" }] }]);
  reply("a", "b");
  expect(await Promise.all([a, b])).toEqual([{ id: "a" }, { id: "b" }]);
});

test("the batch is a call of its own: with the latest deadline as its timeout, and nobody's headers and key", async () => {
  const { clock, many, call } = gathering();
  const options = { partition: "p", cache: false, retry: false, idempotencyKey: "k", timeoutMs: 1 };
  void call("a", { id: -1, deadline: 50, options, headers: { "idempotency-key": "k" } });
  void call("b", { id: -2, deadline: 90, options });
  await clock.advance(5);
  expect(many.calls[0]).toMatchObject({ attempt: 1, method: { name: "BatchGetItems" }, startedAt: 5 });
  expect(many.calls[0]?.options).toEqual({ partition: "p", cache: false, retry: false, timeoutMs: 85 });
  expect(many.calls[0]?.headers).toBeUndefined();
  expect([-1, -2]).not.toContain(many.calls[0]?.id);
});

test.each<[string, (many: ScriptedUnary, reply: (...ids: string[]) => void) => void]>([
  ["is answered", (_, reply) => reply("a", "b", "c")],
  ["fails", (many) => many.fail(aFailure())],
  ["is answered wrongly", (_, reply) => reply("a")],
])("a batch that %s leaves no timer and no listener behind", async (_, end) => {
  const { clock, many, call, reply } = gathering();
  const { signal } = new AbortController();
  const calls = ["a", "b", "c"].map((id) => call(id, { signal, deadline: 100 }));
  end(many, reply);
  await Promise.allSettled(calls);
  expect([clock.pending, listenersOf(signal)]).toEqual([0, 0]);
});

test("nor does one that everybody leaves before it is sent, and it never is", async () => {
  const { clock, many, call } = gathering();
  const controller = new AbortController();
  const { signal } = controller;
  const calls = ["a", "b"].map((id) => rejection(call(id, { signal, deadline: 100 })));
  controller.abort("gone");
  expect(await Promise.all(calls)).toEqual(["gone", "gone"]);
  expect([clock.pending, listenersOf(signal)]).toEqual([0, 0]);
  await clock.advance(5);
  expect(many.calls.length).toBe(0);
});

test("one whose time is over leaves alone, and the last one cancels the batch, as a deadline does", async () => {
  const { clock, many, call } = gathering();
  const hasty = rejection(call("a", { deadline: 20 }));
  const patient = rejection(call("b", { deadline: 30 }));
  await clock.advance(20);
  expect(await hasty).toMatchObject({ reason: "DEADLINE_EXCEEDED" });
  expect(many.calls[0]?.signal?.aborted).toBe(false);
  await clock.advance(10);
  expect(await patient).toMatchObject({ reason: "DEADLINE_EXCEEDED" });
  expect(many.calls[0]?.signal?.reason).toMatchObject({ name: "TimeoutError" });
  expect(clock.pending).toBe(0);
});

test("an answer that comes when some have left is for those who have not", async () => {
  const { call, reply } = gathering();
  const controller = new AbortController();
  const calls = [call("a"), rejection(call("b", { signal: controller.signal })), call("c")];
  controller.abort("left");
  reply("a", "b", "c");
  expect(await Promise.all(calls)).toEqual([{ id: "a" }, "left", { id: "c" }]);
});

test("what the batch's pipeline throws at once is everybody's error", async () => {
  const { state, call } = gathering();
  const mistake = new TypeError("no such property");
  state.pipelines.set("batchGetItems", () => {
    throw mistake;
  });
  expect(await Promise.all(["a", "b", "c"].map((id) => rejection(call(id))))).toEqual([mistake, mistake, mistake]);
});

test("a client that is closed sends what it has, which then fails", async () => {
  const { state, many, call } = gathering();
  void call("a");
  state.close();
  void call("b");
  expect(many.calls.map(({ request }) => request)).toEqual([{ requests: [{ id: "a" }] }, { requests: [{ id: "b" }] }]);
});
