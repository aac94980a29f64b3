import { clientMiddleware, closeClient, EncodedMessage, fail, type ObserverEvent, RpcError, Status } from "bowline";
import { createChannel, createClientFactory, Metadata } from "nice-grpc";
import { expect, onTestFinished, test } from "vitest";
import type { MethodPolicy } from "../../src/contract/policy.ts";
import type { CallOptions } from "../../src/core/call-options.ts";
import { answered, connectItems, type ItemsClient, itemsContract, serveItems } from "../support/batched-items.ts";
import { gate, rejection } from "../support/orders.ts";

const LONG = { maxWaitMs: 5_000 };

test("calls made together are one call, and each gets its own answer, in order", async () => {
  const { port, batches, singles } = await serveItems();
  const items = connectItems(port);
  const ids = Array.from({ length: 20 }, (_, n) => `i-${n}`);
  const answers = await Promise.all(ids.map((id) => items.getItem({ id })));
  expect(answers).toEqual(ids.map((id) => ({ id })));
  expect(batches).toEqual([ids]);
  expect(singles).toEqual([]);
});

test("one that is full is sent at once, without waiting for more", async () => {
  const { port, batches } = await serveItems();
  const items = connectItems(port, itemsContract({ ...LONG, maxSize: 3 }));
  const ids = ["a", "b", "c", "d", "e", "f"];
  await Promise.all(ids.map((id) => items.getItem({ id })));
  expect(batches).toEqual([ids.slice(0, 3), ids.slice(3)]);
});

test("a call alone goes through the batch method too, once the wait is over", async () => {
  const { port, batches } = await serveItems();
  const startedAt = performance.now();
  const items = connectItems(port, itemsContract({ maxWaitMs: 40 }));
  expect(await items.getItem({ id: "a" })).toEqual({ id: "a" });
  expect(performance.now() - startedAt).toBeGreaterThanOrEqual(40);
  expect(batches).toEqual([["a"]]);
});

test("a status in the batch is one caller's error", async () => {
  const { port } = await serveItems();
  const items = connectItems(port);
  const [a, error, c] = await Promise.all([
    items.getItem({ id: "a" }),
    rejection(items.getItem({ id: "no-b" })),
    items.getItem({ id: "c" }),
  ]);
  expect([a, c]).toEqual([{ id: "a" }, { id: "c" }]);
  expect(error).toBeInstanceOf(RpcError);
  expect(error).toMatchObject({
    ...{ code: Status.NOT_FOUND, reason: "STATUS", origin: "wire", path: "/test.v1.Items/GetItem" },
    details: "there is no no-b",
  });
});

/** Refuses what is `wrong` in a batch, as validation does. */
const validated: typeof answered = async (request, context) => {
  const fieldViolations = request.requests.flatMap(({ id }, index) =>
    id === "wrong" ? [{ field: `requests[${index}].id`, description: "is wrong" }] : [],
  );
  if (fieldViolations.length === 0) return answered(request, context);
  return fail("INVALID_ARGUMENT", "wrong", { statusDetails: [{ $type: "google.rpc.BadRequest", fieldViolations }] });
};

test("requests that are refused by name fail by themselves, and the others get their answers", async () => {
  const { port, batches } = await serveItems(validated);
  const items = connectItems(port);
  // One object for all: each call is for what was in it then.
  const request = { id: "" };
  const ask = (id: string) => items.getItem(Object.assign(request, { id }));
  const answers = await Promise.allSettled(["a", "wrong", "c", "wrong"].map(ask));
  expect(batches).toEqual([
    ["a", "wrong", "c", "wrong"],
    ["a", "c"],
  ]);
  expect(answers).toMatchObject([
    { status: "fulfilled", value: { id: "a" } },
    { reason: { code: Status.INVALID_ARGUMENT, details: "id is wrong", path: "/test.v1.Items/GetItem" } },
    { status: "fulfilled", value: { id: "c" } },
    { status: "rejected" },
  ]);
  const { reason } = answers[1] as PromiseRejectedResult;
  expect(reason.statusDetail("google.rpc.BadRequest")).toMatchObject({
    fieldViolations: [{ field: "id", description: "is wrong" }],
  });
});

/** The same, and names the first that is wrong alone, as validation does where there are too many values. */
const validatedOneByOne: typeof answered = async (request, context) => {
  const first = request.requests.findIndex(({ id }) => id === "wrong");
  const upToFirst = first < 0 ? request.requests : request.requests.map((one, n) => (n > first ? { id: "" } : one));
  await validated({ requests: upToFirst }, context);
  return answered(request, context);
};

test("two of a hundred that are refused one after the other cost the others nothing", async () => {
  const { port, batches } = await serveItems(validatedOneByOne);
  const items = connectItems(port, itemsContract({ ...LONG, maxSize: 100 }));
  const ids = Array.from({ length: 100 }, (_, n) => (n === 41 || n === 73 ? "wrong" : `i-${n}`));
  const answers = await Promise.allSettled(ids.map((id) => items.getItem({ id })));
  const refused = { reason: { code: Status.INVALID_ARGUMENT, reason: "STATUS", details: "id is wrong" } };
  expect(answers).toMatchObject(ids.map((id) => (id === "wrong" ? refused : { value: { id } })));
  expect(batches.map(({ length }) => length)).toEqual([100, 99, 98]);
});

test.each<[string, CallOptions]>([
  ["not to be repeated", { retry: false }],
  ["not to be attempted twice", { maxAttempts: 1 }],
])("where a batch is %s, those that were not refused are told so, and may be called again", async (_, options) => {
  const { port, batches } = await serveItems(validated);
  const items = connectItems(port);
  const [a, wrong] = await Promise.all(["a", "wrong"].map((id) => rejection(items.getItem({ id }, options))));
  expect(wrong).toMatchObject({ code: Status.INVALID_ARGUMENT, details: "id is wrong" });
  expect(a).toMatchObject({ code: Status.UNAVAILABLE, reason: "BATCH_REFUSED", path: "/test.v1.Items/GetItem" });
  expect(batches.length).toBe(1);
  expect(await items.getItem({ id: "a" }, options)).toEqual({ id: "a" });
});

test("a batch that is refused for something else is everybody's error", async () => {
  const { port, batches } = await serveItems(async () => fail("INVALID_ARGUMENT", "wrong"));
  const items = connectItems(port);
  const answers = await Promise.all(["a", "b"].map((id) => rejection(items.getItem({ id }))));
  expect(answers).toMatchObject(Array(2).fill({ code: Status.INVALID_ARGUMENT, details: "wrong" }));
  expect(batches.length).toBe(1);
});

test("an entry that says nothing is one caller's error", async () => {
  const { port } = await serveItems(async () => ({ entries: [{ item: { id: "a" } }, {}] }));
  const items = connectItems(port);
  const [a, error] = await Promise.all([items.getItem({ id: "a" }), rejection(items.getItem({ id: "b" }))]);
  expect(a).toEqual({ id: "a" });
  expect(error).toMatchObject({
    ...{ code: Status.INTERNAL, reason: "RESPONSE_COUNT" },
    details: "BatchGetItems answered it with neither a response nor a status",
  });
});

test.each([1, 3])("%i entries for two requests are an error of both", async (count) => {
  const { port } = await serveItems(async () => ({ entries: Array(count).fill({ item: { id: "?" } }) }));
  const items = connectItems(port);
  const errors = await Promise.all(["a", "b"].map((id) => rejection(items.getItem({ id }))));
  for (const error of errors) {
    expect(error).toMatchObject({
      ...{ code: Status.INTERNAL, reason: "RESPONSE_COUNT", path: "/test.v1.Items/BatchGetItems" },
      details: `2 requests were answered with ${count} entries; there must be one for each, in their order`,
    });
  }
});

test("a batch that fails is everybody's failure, after the batch method's own retries", async () => {
  let failures = 0;
  const { port, batches } = await serveItems(async (request, context) => {
    failures += 1;
    if (failures > 2) return answered(request, context);
    throw Object.assign(new Error("away"), { "@@nice-grpc:ServerError": true, code: 14, details: "away" });
  });
  const retry = { maxAttempts: 3, initialBackoffMs: 1 };
  const items = connectItems(port, itemsContract({}, { retry }));
  expect(await Promise.all(["a", "b"].map((id) => items.getItem({ id })))).toEqual([{ id: "a" }, { id: "b" }]);
  expect(batches).toEqual(Array(3).fill(["a", "b"]));
  failures = 0;
  const [once, twice] = ["c", "d"].map((id) => rejection(items.getItem({ id }, { retry: false })));
  expect(await once).toMatchObject({ code: Status.UNAVAILABLE, attempts: 1 });
  expect(await twice).toMatchObject({ code: Status.UNAVAILABLE, attempts: 1 });
});

test("calls gather with those that send the same metadata, for the same, and with no others", async () => {
  const { port, batches, contexts } = await serveItems();
  const items = connectItems(port);
  const as = (token: string) => ({ metadata: Metadata({ token, more: ["1", "2"] }) });
  await Promise.all([
    items.getItem({ id: "a" }),
    items.getItem({ id: "b" }, as("x")),
    items.getItem({ id: "c" }, as("y")),
    items.getItem({ id: "d" }, as("x")),
    items.getItem({ id: "e" }, { partition: "p" }),
    items.getItem({ id: "f" }),
  ]);
  expect(batches.toSorted()).toEqual([["a", "f"], ["b", "d"], ["c"], ["e"]]);
  const tokens = batches.map((ids, n) => [ids[0], contexts[n]?.metadata.get("token")]);
  expect(Object.fromEntries(tokens)).toEqual({ a: undefined, b: "x", c: "y", e: undefined });
});

test.each<[string, MethodPolicy]>([
  ["keeps answers", { cache: { ttlMs: 60_000 } }],
  ["shares attempts", { coalesce: {} }],
])("where the method that takes many %s, nobody gets what was answered for another", async (_, many) => {
  let asked = 0;
  const { port } = await serveItems(async ({ requests }) => {
    const [order, both] = [++asked, new Promise((resolve) => setTimeout(resolve, 20))];
    await both;
    return { entries: requests.map(({ id }) => ({ item: { id: `${id} of answer ${order}` } })) };
  });
  const items = connectItems(port, itemsContract({}, many));
  const as = (partition: string) => items.getItem({ id: "mine" }, { partition });
  const answers = [...(await Promise.all([as("alice"), as("bob")])), await as("alice")];
  expect(new Set(answers.slice(0, 2).map(({ id }) => id))).toEqual(new Set(["mine of answer 1", "mine of answer 2"]));
  expect(answers[2]).toEqual("cache" in many ? answers[0] : { id: "mine of answer 3" });
});

test("where the method that takes many keeps answers, a call can ask the server all the same", async () => {
  const { port, batches } = await serveItems();
  const items = connectItems(port, itemsContract({}, { cache: { ttlMs: 60_000 } }));
  await items.getItem({ id: "a" });
  await Promise.all([items.getItem({ id: "a" }), items.getItem({ id: "a" }, { cache: false })]);
  expect(batches).toEqual([["a"], ["a"]]);
});

test("what a middleware adds for each caller keeps their calls apart", async () => {
  const { port, batches } = await serveItems();
  const callers = ["x", "y", "x"];
  const items = connectItems(port, itemsContract(), {
    use: [
      async function* (call, options) {
        const metadata = Metadata(options.metadata).set("token", callers.shift() ?? "");
        return yield* call.next(call.request, { ...options, metadata });
      },
    ],
  });
  await Promise.all(["a", "b", "c"].map((id) => items.getItem({ id })));
  expect(batches.toSorted()).toEqual([["a", "c"], ["b"]]);
});

test("what cannot be encoded is its own mistake alone", async () => {
  const { port, batches } = await serveItems();
  const items = connectItems(port);
  const [a, error] = await Promise.all([items.getItem({ id: "a" }), rejection(items.getItem({ id: "not encodable" }))]);
  expect(a).toEqual({ id: "a" });
  expect(error).toMatchObject({ reason: "REQUEST_NOT_ENCODABLE", attempts: 0, path: "/test.v1.Items/GetItem" });
  expect(batches).toEqual([["a"]]);
});

test("requests are sent as they were when they were made, encoded ones too", async () => {
  const { port, batches } = await serveItems();
  const items = connectItems(port);
  const request = { id: "before" };
  const call = items.getItem(request);
  request.id = "after";
  const encoded = new EncodedMessage(Buffer.from('{"id":"encoded"}')) as never;
  expect(await Promise.all([call, items.getItem(encoded)])).toEqual([{ id: "before" }, { id: "encoded" }]);
  expect(batches).toEqual([["before", "encoded"]]);
});

test("whoever leaves before the batch is sent is not in it", async () => {
  const { port, batches } = await serveItems();
  const items = connectItems(port, itemsContract({ ...LONG, maxSize: 3 }));
  const controller = new AbortController();
  const calls = [items.getItem({ id: "a" }), items.getItem({ id: "b" })];
  const left = rejection(items.getItem({ id: "gone" }, { signal: AbortSignal.abort("never came") }));
  expect(await left).toBe("never came");
  const leaving = connectItems(port, itemsContract({ ...LONG, maxSize: 2 }));
  const gone = rejection(leaving.getItem({ id: "gone" }, { signal: controller.signal }));
  controller.abort("left");
  expect(await gone).toBe("left");
  const others = ["c", "d"].map((id) => leaving.getItem({ id }));
  await Promise.all([...calls, items.getItem({ id: "e" }), ...others]);
  expect(batches.toSorted()).toEqual([
    ["a", "b", "e"],
    ["c", "d"],
  ]);
});

test("whoever leaves later leaves alone; the last one cancels the call", async () => {
  const cancelled = gate();
  const came = gate();
  const { port, batches } = await serveItems(async (_request, { signal }) => {
    signal.addEventListener("abort", () => cancelled.resolve());
    came.resolve();
    await cancelled.promise;
    return { entries: [] };
  });
  const items = connectItems(port, itemsContract({ maxSize: 2 }));
  const [first, last] = [new AbortController(), new AbortController()];
  const a = rejection(items.getItem({ id: "a" }, { signal: first.signal }));
  const b = rejection(items.getItem({ id: "b" }, { signal: last.signal }));
  await came.promise;
  first.abort("first");
  expect(await a).toBe("first");
  await new Promise((resolve) => setTimeout(resolve, 20));
  last.abort("last");
  expect(await b).toBe("last");
  await cancelled.promise;
  expect(batches).toEqual([["a", "b"]]);
});

test("the batch has the latest deadline of its callers, and each keeps its own", async () => {
  const hold = gate();
  const { port, contexts } = await serveItems(async (request, context) => {
    await hold.promise;
    return answered(request, context);
  });
  const items = connectItems(port, itemsContract({ maxSize: 2 }));
  const patient = items.getItem({ id: "a" }, { timeoutMs: 8_000 });
  const hasty = rejection(items.getItem({ id: "b" }, { timeoutMs: 50 }));
  expect(await hasty).toMatchObject({ reason: "DEADLINE_EXCEEDED", path: "/test.v1.Items/GetItem" });
  expect(contexts[0]?.remainingMs()).toBeGreaterThan(6_000);
  hold.resolve();
  expect(await patient).toEqual({ id: "a" });
});

test("a call that has no time to wait for others takes those along who do wait", async () => {
  const { port, batches } = await serveItems();
  const items = connectItems(port, itemsContract(LONG));
  const calls = [items.getItem({ id: "a" }), items.getItem({ id: "b" }, { timeoutMs: 4_000 })];
  expect(await Promise.all(calls)).toEqual([{ id: "a" }, { id: "b" }]);
  expect(batches).toEqual([["a", "b"]]);
});

test("calls for the same are one of the batch, where the method coalesces", async () => {
  const { port, batches } = await serveItems();
  const items = connectItems(port, itemsContract({ ...LONG, maxSize: 2 }, {}, { coalesce: {} }));
  const controller = new AbortController();
  const left = rejection(items.getItem({ id: "gone" }, { signal: controller.signal }));
  controller.abort("left");
  expect(await left).toBe("left");
  const ids = ["a", "a", "a", "b"];
  expect(await Promise.all(ids.map((id) => items.getItem({ id })))).toEqual(ids.map((id) => ({ id })));
  expect(batches).toEqual([["a", "b"]]);
});

test("a client that is closed lets nobody wait for others", async () => {
  const { port, batches } = await serveItems();
  const items = connectItems(port, itemsContract(LONG));
  const call = rejection(items.getItem({ id: "a" }));
  closeClient(items);
  expect(await call).toMatchObject({ reason: "CLIENT_CLOSED" });
  expect(await rejection(items.getItem({ id: "b" }))).toMatchObject({ reason: "CLIENT_CLOSED" });
  expect(batches).toEqual([]);
});

test("headers and trailers are the batch's, each caller with its own copy", async () => {
  const { port } = await serveItems(async (request, context) => {
    context.header.set("h", "1");
    context.trailer.set("t", "2");
    return answered(request, context);
  });
  const items = connectItems(port);
  const told: unknown[] = [];
  const options = {
    onHeader: (header: Metadata) => told.push(header.get("h"), header.set("h", "mine")),
    onTrailer: (trailer: Metadata) => told.push(trailer.get("t")),
  };
  await Promise.all([items.getItem({ id: "a" }, options), items.getItem({ id: "b" }, options)]);
  expect(told.filter((value) => typeof value === "string")).toEqual(["1", "2", "1", "2"]);
});

test("the observer is told of each call, of the batch, and how many are in it", async () => {
  const { port } = await serveItems();
  const events: ObserverEvent[] = [];
  const items = connectItems(port, itemsContract(), { observer: (event) => void events.push(event) });
  await Promise.all(["a", "b"].map((id) => items.getItem({ id })));
  const ended = events.filter(({ type }) => type === "call.ended" || type === "attempt.ended");
  expect(ended.map(({ type, method }) => [type, method?.split("/").at(-1)])).toEqual([
    ["attempt.ended", "BatchGetItems"],
    ["call.ended", "BatchGetItems"],
    ["call.ended", "GetItem"],
    ["call.ended", "GetItem"],
  ]);
  expect(events.find(({ type }) => type === "policy")).toMatchObject({
    ...{ policy: "batch", action: "sent", method: "/test.v1.Items/GetItem" },
    detail: { size: 2, call: ended[0]?.id },
  });
});

test("within nice-grpc, which gives no way to another method, calls go one by one", async () => {
  const { port, batches, singles } = await serveItems();
  const channel = createChannel(`127.0.0.1:${port}`);
  onTestFinished(() => channel.close());
  const wanted = itemsContract();
  const items = createClientFactory()
    .use(clientMiddleware(wanted))
    .create(wanted.definition as never, channel) as unknown as ItemsClient;
  expect(await Promise.all(["a", "b"].map((id) => items.getItem({ id })))).toEqual([{ id: "a" }, { id: "b" }]);
  expect(batches).toEqual([]);
  expect(singles.toSorted()).toEqual(["a", "b"]);
});
