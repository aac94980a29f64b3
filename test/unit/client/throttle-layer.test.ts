import { expect, test } from "vitest";
import { Status } from "../../../src/core/status.ts";
import { forms } from "../../support/driven.ts";
import { isolating } from "../../support/isolating.ts";
import { rejection } from "../../support/orders.ts";
import { aFailure, toldOf } from "../../support/retrying.ts";
import { aMethod, ScriptedStreams } from "../../support/scripted.ts";

const [drive] = forms.filter(([form]) => form === "unary").map(([, drive]) => drive);

/** Everything that may be rejected is. */
const throttling = () => isolating("throttle", { throttle: {} }, () => 0);

/** Makes a call that ends so, and tells what it counted as. */
async function counted(end: (driven: ReturnType<NonNullable<typeof drive>>) => void, changes = {}) {
  const { layer, state } = throttling();
  const driven = drive?.(layer, changes);
  if (driven) end(driven);
  await driven?.outcome.catch(() => {});
  const { requests, accepts } = state.throttle({}).snapshot();
  return [requests, accepts];
}

test("an answer is accepted", async () => {
  expect(await counted((driven) => driven.reply("order"))).toEqual([1, 1]);
});

test.each<[string, unknown, number[]]>([
  ["UNAVAILABLE", aFailure(), [1, 0]],
  ["RESOURCE_EXHAUSTED", aFailure({ code: Status.RESOURCE_EXHAUSTED }), [1, 0]],
  ["no connection", aFailure({ reason: "TRANSPORT" }), [1, 0]],
  ["UNAVAILABLE, that was not retried any more", aFailure({ reason: "RETRY_THROTTLED" }), [1, 0]],
  ["UNAVAILABLE, and then the breaker was open", aFailure({ reason: "BREAKER_OPEN", attempts: 1 }), [1, 0]],
  ["NOT_FOUND", aFailure({ code: Status.NOT_FOUND }), [1, 1]],
  ["INTERNAL", aFailure({ code: Status.INTERNAL }), [1, 1]],
  ["a deadline", aFailure({ code: Status.DEADLINE_EXCEEDED, reason: "DEADLINE_EXCEEDED" }), [1, 1]],
  ["a response that is too large", aFailure({ code: 8, reason: "MESSAGE_TOO_LARGE" }), [1, 1]],
  ["a breaker that is open", aFailure({ reason: "BREAKER_OPEN", attempts: 0 }), [0, 0]],
  ["a bulkhead that is full", aFailure({ code: 8, reason: "BULKHEAD_FULL", attempts: 0 }), [0, 0]],
  ["a deadline before it was sent", aFailure({ code: 4, reason: "DEADLINE_BEFORE_SEND", attempts: 0 }), [0, 0]],
  ["a server that leaves in good order", aFailure({ reason: "DRAINING" }), [0, 0]],
  ["a client that is closed", aFailure({ reason: "CLIENT_CLOSED" }), [0, 0]],
  ["a program's own mistake", new TypeError("no such property"), [0, 0]],
])("a failure counts by what it says about the target: %s", async (_, failure, expected) => {
  expect(await counted((driven) => driven.fail(failure))).toEqual(expected);
});

test("a caller that leaves counts as nothing, whatever it leaves with", async () => {
  const signal = AbortSignal.abort(aFailure());
  expect(await counted((driven) => driven.abort(aFailure()), { signal })).toEqual([0, 0]);
});

test("what is rejected is not sent, and says so", async () => {
  const { layer, events } = throttling();
  const first = drive?.(layer);
  first?.fail(aFailure());
  await first?.outcome.catch(() => {});
  const driven = drive?.(layer);
  expect(await rejection(driven?.outcome ?? Promise.resolve())).toMatchObject({
    ...{ code: Status.RESOURCE_EXHAUSTED, reason: "CLIENT_THROTTLED", origin: "local", attempts: 0, sent: false },
    details: "the target rejects calls, so that the client does with 50.0 % of them: no attempt was sent",
    path: "/test.Service/unary",
  });
  expect(driven?.calls).toEqual([]);
  expect(toldOf(events)).toEqual([["throttle", "rejected", { probability: 0.5 }]]);
});

test("all methods of a client share it", async () => {
  const { layer, layerOf } = throttling();
  const first = drive?.(layer);
  first?.fail(aFailure());
  await first?.outcome.catch(() => {});
  const other = drive?.(layerOf());
  expect(await rejection(other?.outcome ?? Promise.resolve())).toMatchObject({ reason: "CLIENT_THROTTLED" });
});

test("streams pass", () => {
  const { handler } = new ScriptedStreams();
  expect(throttling().layer.stream(handler, aMethod("server-stream"))).not.toBeUndefined();
});

test("what a target rejects of one criticality keeps calls of another from nothing (SRE book)", async () => {
  const { layer } = throttling();
  const sheddable = { headers: { "bowline-criticality": "sheddable" } };
  const first = drive?.(layer, sheddable);
  first?.fail(aFailure({ code: Status.RESOURCE_EXHAUSTED, reason: "SHED" }));
  await first?.outcome.catch(() => {});
  expect(drive?.(layer, { headers: { "bowline-criticality": "critical" } }).calls).toHaveLength(1);
  expect(drive?.(layer).calls).toHaveLength(1);
  const again = drive?.(layer, sheddable);
  expect(await rejection(again?.outcome ?? Promise.resolve())).toMatchObject({ reason: "CLIENT_THROTTLED" });
});
