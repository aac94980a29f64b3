import { expect, test } from "vitest";
import type { Call } from "../../../src/core/call.ts";
import type { RpcError, RpcErrorInit } from "../../../src/core/errors.ts";
import { Status } from "../../../src/core/status.ts";
import { itemsContract } from "../../support/batched-items.ts";
import { gathering } from "../../support/gathering.ts";
import { rejection } from "../../support/orders.ts";
import { aFailure } from "../../support/retrying.ts";

/** What a server says that finds these requests wrong. */
function refusing(places: readonly number[], changes: Partial<RpcErrorInit> = {}): RpcError {
  const fieldViolations = places.map((place) => ({
    ...{ field: `requests[${place}].id`, description: `is wrong at ${place}`, reason: "" },
  }));
  const statusDetails = [{ $type: "google.rpc.BadRequest" as const, fieldViolations }];
  return aFailure({ code: Status.INVALID_ARGUMENT, statusDetails, ...changes });
}

const OTHERS = { reason: "BATCH_REFUSED", code: Status.UNAVAILABLE, path: "/test.Service/unary" };

/** A full batch of so many calls, and what has been asked for, one text for each batch. */
function aBatch(size: number, changes: Partial<Call> = {}) {
  const { many, call, reply, ...others } = gathering(size);
  const ids = [..."abcdefghij"].slice(0, size);
  const calls = ids.map((id) => call(id, changes));
  const asked = () => many.calls.map(({ request }) => (request as Asked).requests.map(({ id }) => id).join(""));
  const refuse = async (places: readonly number[], changes?: Partial<RpcErrorInit>) => {
    many.fail(refusing(places, changes));
    await new Promise(setImmediate);
  };
  return { ...others, many, reply, calls, asked, refuse };
}

interface Asked {
  readonly requests: readonly { readonly id: string }[];
}

test("a refusal that names only the first that is wrong costs the others nothing, if it is followed by few more", async () => {
  const { calls, asked, refuse, reply } = aBatch(6);
  const wrong = [1, 3, 5].map((place) => rejection(calls[place] ?? Promise.reject()));
  await refuse([1]);
  await refuse([2]);
  await refuse([3]);
  expect(asked()).toEqual(["abcdef", "acdef", "acef", "ace"]);
  reply("a", "c", "e");
  expect(await Promise.all([0, 2, 4].map((place) => calls[place]))).toEqual([{ id: "a" }, { id: "c" }, { id: "e" }]);
  const details = ["id is wrong at 1", "id is wrong at 2", "id is wrong at 3"];
  expect((await Promise.all(wrong)).map((error) => (error as RpcError).details)).toEqual(details);
});

test("after three more the rest are told that others were refused, not what is wrong with those, and why no more", async () => {
  const { calls, asked, refuse } = aBatch(6);
  for (const place of [0, 0, 0, 0]) await refuse([place]);
  expect(asked()).toEqual(["abcdef", "bcdef", "cdef", "def"]);
  const errors = (await Promise.all(calls.map(rejection))) as RpcError[];
  const named = { code: Status.INVALID_ARGUMENT, reason: "STATUS", details: "id is wrong at 0" };
  const rest = { ...OTHERS, retryStop: "MAX_ATTEMPTS", statusDetails: [] };
  expect(errors).toMatchObject([...Array(4).fill(named), rest, rest]);
  expect(String(errors[4])).not.toMatch(/wrong|requests\[/);
  expect(errors.filter(({ cause }) => cause !== undefined)).toEqual([]);
});

test.each<[string, Partial<Call>, Partial<RpcErrorInit>, number, string]>([
  ["says so", { options: { retry: false } }, {}, 1, "MAX_ATTEMPTS"],
  ["allows one attempt", { options: { maxAttempts: 1 } }, {}, 1, "MAX_ATTEMPTS"],
  ["allows two", { options: { maxAttempts: 2 } }, {}, 2, "MAX_ATTEMPTS"],
  ["has had headers", {}, { headersReceived: true }, 1, "COMMITTED"],
])(
  "of a call that %s no more batches are made, and the refused one is told by itself",
  async (_, changes, said, made, retryStop) => {
    const { calls, asked, refuse } = aBatch(4, changes);
    await refuse([2], said);
    if (made > 1) await refuse([2], said);
    expect(asked().length).toBe(made);
    const errors = await Promise.all(calls.slice(0, 3).map(rejection));
    expect(errors).toMatchObject([{ ...OTHERS, retryStop }, { ...OTHERS, retryStop }, { details: "id is wrong at 2" }]);
  },
);

test("nor are they of a method that may have done something", async () => {
  const contract = itemsContract({ maxSize: 2 });
  const { getItem, batchGetItems } = contract.definition.methods;
  const methods = { getItem, batchGetItems: { ...batchGetItems, options: {} as typeof batchGetItems.options } };
  const { many, call } = gathering(2, { ...contract, definition: { ...contract.definition, methods } });
  const errors = ["a", "b"].map((id) => rejection(call(id)));
  many.fail(refusing([0]));
  expect(await Promise.all(errors)).toMatchObject([{ reason: "STATUS" }, { ...OTHERS, retryStop: "NOT_RETRYABLE" }]);
  expect(many.calls.length).toBe(1);
});

test("each time more draws on the target's budget, until its answer has come", async () => {
  const { state, calls, refuse, reply } = aBatch(4);
  const { budget } = state.retryShare;
  await refuse([0]);
  expect(budget.snapshot()).toMatchObject({ extraAttempts: 1, inFlight: 1 });
  await refuse([0]);
  expect(budget.snapshot()).toMatchObject({ extraAttempts: 2, inFlight: 1 });
  reply("c", "d");
  expect(await calls[3]).toEqual({ id: "d" });
  expect(budget.snapshot()).toMatchObject({ extraAttempts: 2, inFlight: 0 });
  const others = aBatch(2);
  await others.refuse([0]);
  others.many.fail(aFailure());
  await Promise.allSettled(others.calls);
  expect(others.state.retryShare.budget.snapshot()).toMatchObject({ extraAttempts: 1, inFlight: 0 });
});

test("without leave of the throttle or the budget there is no time more", async () => {
  const [spent, failing] = [aBatch(2), aBatch(2)];
  while (spent.state.retryShare.budget.tryAcquire());
  for (let n = 0; n < 10; n += 1) failing.state.retryShare.throttling.failure();
  const stops = [];
  for (const { calls, refuse, asked } of [spent, failing]) {
    await refuse([0]);
    stops.push(await rejection(calls[1] ?? Promise.resolve()));
    expect(asked()).toEqual(["ab"]);
  }
  expect(stops).toMatchObject([
    { ...OTHERS, retryStop: "BUDGET" },
    { ...OTHERS, retryStop: "THROTTLED" },
  ]);
  expect(failing.state.retryShare.budget.snapshot()).toMatchObject({ extraAttempts: 0 });
});

test.each([
  ["that it alone knows", [2]],
  ["counted from 1, of which some are there", [1, 2]],
])("a server that names requests %s names nobody: all get its error, once", async (_, places) => {
  const { calls, asked, refuse } = aBatch(2);
  await refuse(places);
  expect(asked()).toEqual(["ab"]);
  const refusal = { code: Status.INVALID_ARGUMENT, details: "down" };
  expect(await Promise.all(calls.map(rejection))).toMatchObject([refusal, refusal]);
});

test("one that was refused after its caller had left is not asked for again, and the others are", async () => {
  const { many, call, reply } = gathering(3);
  const controller = new AbortController();
  const left = rejection(call("a", { signal: controller.signal }));
  const calls = [call("b"), call("c")];
  controller.abort("left");
  expect(await left).toBe("left");
  many.fail(refusing([0]));
  await new Promise(setImmediate);
  expect(many.calls[1]?.request).toEqual({ requests: [{ id: "b" }, { id: "c" }] });
  reply("b", "c");
  expect(await Promise.all(calls)).toEqual([{ id: "b" }, { id: "c" }]);
});
