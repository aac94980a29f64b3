import { describe, expect, test } from "vitest";
import type { BatchPolicy, MethodPolicy } from "../../../src/contract/policy.ts";
import { checkMethodPolicy, type MethodFacts } from "../../../src/contract/validate.ts";
import { checkBatchTarget, type Peer } from "../../../src/contract/validate-batches.ts";

const unary: MethodFacts = { kind: "unary", idempotency: "NO_SIDE_EFFECTS" };
const batch: BatchPolicy = { method: "GetMany", requestsField: "requests", responsesField: "responses" };

/** Problems as a table shows them: `path: message`. */
const listed = (problems: ReturnType<typeof checkMethodPolicy>) =>
  problems.map(({ path, message }) => `${path.join(".")}: ${message}`);

describe("a batch by itself", () => {
  test.each<[Partial<BatchPolicy>, string[]]>([
    [{ maxSize: 1 }, ["batch.maxSize: must be a whole number of at least 2; it is 1"]],
    [{ maxSize: 2.5 }, ["batch.maxSize: must be a whole number of at least 2; it is 2.5"]],
    [{ maxWaitMs: -1 }, ["batch.maxWaitMs: must not be negative; it is -1 ms"]],
    [{ maxWaitMs: 301 }, ["batch.maxWaitMs: must not be greater than the timeout, 300 ms; it is 301 ms"]],
    [{ maxSize: 2, maxWaitMs: 0 }, []],
    [{ maxWaitMs: 300, responseField: "order", statusField: "status" }, []],
  ])("%j", (more, problems) => {
    expect(listed(checkMethodPolicy({ timeoutMs: 300, batch: { ...batch, ...more } }, unary))).toEqual(problems);
  });

  test.each(["server-stream", "client-stream", "bidi"] as const)("a %s method is not batched", (kind) => {
    expect(listed(checkMethodPolicy({ batch }, { kind, idempotency: "UNKNOWN" }))).toEqual([
      `batch: batch on a ${kind} method: only single requests can be gathered into one`,
    ]);
  });

  test.each(["retry", "hedge", "breaker", "bulkhead"] as const)(
    "%s is for the method that takes many to say",
    (key) => {
      expect(listed(checkMethodPolicy({ batch, [key]: {} }, unary))).toEqual([
        `${key}: ${key} and batch exclude each other: a call in a batch makes no attempt of its own; say it of GetMany`,
      ]);
    },
  );

  test("calls of a batch cannot each send a key", () => {
    const policy = { batch: { ...batch, method: "" }, idempotencyKey: {} };
    expect(listed(checkMethodPolicy(policy, { kind: "unary", idempotency: "UNKNOWN" }))).toEqual([
      "idempotencyKey: idempotency_key and batch exclude each other: calls in one batch cannot each send a key; say it of the method that takes many",
    ]);
  });

  test("a cache and coalescing stand before it, and what a service says of all methods is no mistake", () => {
    const service = { breaker: { trials: 2 }, bulkhead: { maxQueued: 1 } };
    expect(checkMethodPolicy({ batch, coalesce: {}, cache: { ttlMs: 1 } }, unary, service)).toEqual([]);
  });
});

describe("where a batch goes", () => {
  const get: Peer = { name: "Get", ...unary, policy: { batch } };

  const check = (method: Peer, ...others: Partial<Peer>[]) => {
    const peers = others.map((other): Peer => ({ name: "GetMany", ...unary, policy: {}, ...other }));
    return listed(checkBatchTarget(method, [method, ...peers]));
  };

  test("is a unary method of the service that is not batched itself", () => {
    expect(check(get, {})).toEqual([]);
    expect(check(get, { policy: { retry: {}, cache: { ttlMs: 1 } } })).toEqual([]);
    expect(check(get, { idempotency: "UNKNOWN" })).toEqual([]);
    expect(check({ ...get, policy: {} })).toEqual([]);
  });

  test("is named", () => {
    expect(check({ ...get, policy: { batch: { ...batch, method: "" } } }, {})).toEqual([
      "batch: batch.method is missing: name the method that takes many; there are Get, GetMany",
    ]);
  });

  test.each(["GetAll", "getMany", "toString"])("is there, which %s is not", (method) => {
    expect(check({ ...get, policy: { batch: { ...batch, method } } }, {})).toEqual([
      `batch.method: the service has no method ${method}; it has Get, GetMany`,
    ]);
  });

  test("is another method", () => {
    expect(check({ ...get, policy: { batch: { ...batch, method: "Get" } } }, {})).toEqual([
      "batch.method: Get is the method itself: name the one that takes many",
    ]);
  });

  test("has one request, one response, and no batch of its own; both are told", () => {
    expect(check(get, { kind: "server-stream", policy: { batch: { ...batch, method: "Get" } } })).toEqual([
      "batch.method: GetMany is a server-stream method: a batch has one request and one response",
      "batch.method: GetMany is batched itself: name the method that its calls become parts of",
    ]);
  });

  const unsafe = { ...get, idempotency: "UNKNOWN" } as const;
  const repeats = (key: string) =>
    `batch.method: GetMany has ${key}, which would repeat calls of this method, and those are not safe to repeat: set idempotency_level here too, or idempotency_key: {} there`;

  test.each<[MethodPolicy, string[]]>([
    [{ retry: {} }, [repeats("retry")]],
    [{ hedge: {} }, [repeats("hedge")]],
    [{ retry: {}, idempotencyKey: {} }, []],
    [{}, []],
  ])("does not repeat what is not safe to repeat: %j", (policy, problems) => {
    expect(check(unsafe, { policy })).toEqual(problems);
    expect(check({ ...unsafe, idempotency: "IDEMPOTENT" }, { policy })).toEqual([]);
  });
});
