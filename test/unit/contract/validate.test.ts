import { describe, expect, test } from "vitest";
import type { HeartbeatPolicy, MethodPolicy, ResumePolicy, ServicePolicy } from "../../../src/contract/policy.ts";
import { checkMethodPolicy, checkServicePolicy, type MethodFacts } from "../../../src/contract/validate.ts";

const unary: MethodFacts = { kind: "unary", idempotency: "NO_SIDE_EFFECTS" };
const serverStream: MethodFacts = { kind: "server-stream", idempotency: "IDEMPOTENT" };

/** Problems as a table shows them: `path: message`. */
const listed = (problems: ReturnType<typeof checkMethodPolicy>) =>
  problems.map(({ path, message }) => `${path.join(".")}: ${message}`);

const positive = "must be greater than zero; it is";
const count = "must be a whole number of at least 1; it is";
const ratio = "must be a ratio above 0 and at most 1; it is";
const attempts = "must be a whole number of at least 2, the first attempt included; it is";

describe("what is waited for within a call fits the timeout of its service, where the method says none", () => {
  const batch = { method: "GetMany", requestsField: "requests", responsesField: "responses" };
  const says = (path: string) => [`${path}: must not be greater than the timeout, 300 ms; it is 301 ms`];

  test.each<[string, (ms: number) => MethodPolicy]>([
    ["retry.attemptTimeoutMs", (ms) => ({ retry: { attemptTimeoutMs: ms } })],
    ["hedge.delayMs", (ms) => ({ hedge: { delayMs: ms } })],
    ["bulkhead.maxWaitMs", (ms) => ({ bulkhead: { maxQueued: 1, maxWaitMs: ms } })],
    ["batch.maxWaitMs", (ms) => ({ batch: { ...batch, maxWaitMs: ms } })],
  ])("%s", (path, policyOf) => {
    const service = { timeoutMs: 300 };
    expect(checkMethodPolicy(policyOf(300), unary, service)).toEqual([]);
    expect(listed(checkMethodPolicy(policyOf(301), unary, service))).toEqual(says(path));
    expect(checkMethodPolicy({ ...policyOf(301), timeoutMs: 301 }, unary, service)).toEqual([]);
  });

  test("a stream takes none from its service", () => {
    const policy = { retry: { attemptTimeoutMs: 301 }, bulkhead: { maxQueued: 1, maxWaitMs: 301 } };
    expect(checkMethodPolicy(policy, serverStream, { timeoutMs: 300 })).toEqual([]);
  });
});

describe("each rule has its message", () => {
  test.each<[MethodPolicy, string]>([
    [{ timeoutMs: 0 }, `timeoutMs: ${positive} 0 ms`],
    [{ timeoutMs: -1 }, `timeoutMs: ${positive} -1 ms`],
    [{ timeoutMs: Number.NaN }, `timeoutMs: ${positive} NaN ms`],
    [{ retry: { maxAttempts: 1 } }, `retry.maxAttempts: ${attempts} 1`],
    [{ retry: { maxAttempts: 2.5 } }, `retry.maxAttempts: ${attempts} 2.5`],
    [{ retry: { initialBackoffMs: 0 } }, `retry.initialBackoffMs: ${positive} 0 ms`],
    [{ retry: { maxBackoffMs: 0 } }, `retry.maxBackoffMs: ${positive} 0 ms`],
    [{ retry: { multiplier: 0 } }, `retry.multiplier: ${positive} 0`],
    [{ retry: { attemptTimeoutMs: 0 } }, `retry.attemptTimeoutMs: ${positive} 0 ms`],
    [{ retry: { codes: ["UNAVAILABLE", "NOPE" as never] } }, 'retry.codes.1: gRPC has no status "NOPE"'],
    [
      { retry: { jitter: "none" as never } },
      'retry.jitter: must be one of full, equal, decorrelated, a6; it is "none"',
    ],
    [{ retry: { codes: ["OK"] } }, "retry.codes.0: OK is no failure"],
    [{ hedge: { maxAttempts: 1 } }, `hedge.maxAttempts: ${attempts} 1`],
    [{ hedge: { delayMs: -1 } }, "hedge.delayMs: must not be negative; it is -1 ms"],
    [
      { timeoutMs: 300, hedge: { delayMs: 301 } },
      "hedge.delayMs: must not be greater than the timeout, 300 ms; it is 301 ms",
    ],
    [{ hedge: { nonFatalCodes: ["NOPE" as never] } }, 'hedge.nonFatalCodes.0: gRPC has no status "NOPE"'],
    [{ breaker: { failureRatio: 0 } }, `breaker.failureRatio: ${ratio} 0`],
    [{ breaker: { failureRatio: 1.01 } }, `breaker.failureRatio: ${ratio} 1.01`],
    [{ breaker: { slowRatio: 0 } }, `breaker.slowRatio: ${ratio} 0`],
    [{ breaker: { slowMs: 0 } }, `breaker.slowMs: ${positive} 0 ms`],
    [{ breaker: { windowMs: 0 } }, `breaker.windowMs: ${positive} 0 ms`],
    [{ breaker: { minimumCalls: 0 } }, `breaker.minimumCalls: ${count} 0`],
    [{ breaker: { minimumCalls: 2.5 } }, `breaker.minimumCalls: ${count} 2.5`],
    [
      { breaker: { windowCalls: 1_000_001 } },
      "breaker.windowCalls: must not be greater than what it holds in memory, 1000000; it is 1000001",
    ],
    [
      { breaker: { openMs: 3, maxOpenMs: 2 } },
      "breaker.openMs: must not be greater than the greatest open time, 2 ms; it is 3 ms",
    ],
    [
      { retry: { initialBackoffMs: 3, maxBackoffMs: 2 } },
      "retry.initialBackoffMs: must not be greater than the greatest backoff, 2 ms; it is 3 ms",
    ],
    [
      { timeoutMs: 300, retry: { attemptTimeoutMs: 301 } },
      "retry.attemptTimeoutMs: must not be greater than the timeout, 300 ms; it is 301 ms",
    ],
    [{ breaker: { windowCalls: 0 } }, `breaker.windowCalls: ${count} 0`],
    [
      { breaker: { windowCalls: 5, minimumCalls: 6 } },
      "breaker.minimumCalls: must not be greater than the calls of the window, 5: it would never open; it is 6",
    ],
    [{ breaker: { trialTimeoutMs: 0 } }, `breaker.trialTimeoutMs: ${positive} 0 ms`],
    [{ breaker: { codes: ["NONE" as never] } }, 'breaker.codes.0: gRPC has no status "NONE"'],
    [{ breaker: { codes: ["OK"] } }, "breaker.codes.0: OK is no failure"],
    [
      { breaker: { scope: "service" } },
      "breaker.scope: is for the service to say: a method shares a breaker, or has its own",
    ],
    [{ breaker: { openMs: 0 } }, `breaker.openMs: ${positive} 0 ms`],
    [{ breaker: { maxOpenMs: 0 } }, `breaker.maxOpenMs: ${positive} 0 ms`],
    [{ breaker: { trials: 0 } }, `breaker.trials: ${count} 0`],
    [{ idempotencyKey: { ttlMs: 0 } }, `idempotencyKey.ttlMs: ${positive} 0 ms`],
    [{ idempotencyKey: { ttlMs: Number.POSITIVE_INFINITY } }, "idempotencyKey.ttlMs: must be finite; it is Infinity"],
    [
      { heartbeat: { field: "beat" } },
      "heartbeat: heartbeat on a unary method: only a stream of responses can have heartbeats",
    ],
    [{ retry: {}, hedge: {} }, "hedge: retry and hedge exclude each other (gRFC A6): keep one of them"],
    [
      { resume: { requestField: "after", cursorField: "revision" } },
      "resume: resume on a unary method: only a server-stream can be resumed",
    ],
  ])("%j", (policy, problem) => {
    expect(listed(checkMethodPolicy(policy, unary))).toEqual([problem]);
  });

  test.each<[Partial<ResumePolicy>, string]>([
    [{ maxFailures: 0 }, `maxFailures: ${count} 0`],
    [{ maxFailures: 1.5 }, `maxFailures: ${count} 1.5`],
    [{ maxFailures: Number.POSITIVE_INFINITY }, `maxFailures: ${count} Infinity`],
    [{ initialBackoffMs: 0 }, `initialBackoffMs: ${positive} 0 ms`],
    [{ initialBackoffMs: Number.NaN }, `initialBackoffMs: ${positive} NaN ms`],
    [{ maxBackoffMs: -1 }, `maxBackoffMs: ${positive} -1 ms`],
    [{ multiplier: 0 }, `multiplier: ${positive} 0`],
    [
      { initialBackoffMs: 3, maxBackoffMs: 2 },
      "initialBackoffMs: must not be greater than the greatest backoff, 2 ms; it is 3 ms",
    ],
    [{ jitter: "none" as never }, 'jitter: must be one of full, equal, decorrelated, a6; it is "none"'],
    [{ codes: ["UNAVAILABLE", "NOPE" as never] }, 'codes.1: gRPC has no status "NOPE"'],
    [{ codes: ["OK"] }, "codes.0: OK is no failure"],
    [
      { codes: ["INTERNAL", "OUT_OF_RANGE"] },
      "codes.1: OUT_OF_RANGE says that the position has expired, and never reopens: leave it out",
    ],
    [
      { codes: ["11" as never] },
      "codes.0: OUT_OF_RANGE says that the position has expired, and never reopens: leave it out",
    ],
  ])("of resume: %j", (policy, problem) => {
    const resume = { requestField: "after", cursorField: "revision", ...policy };
    expect(listed(checkMethodPolicy({ resume }, serverStream))).toEqual([`resume.${problem}`]);
  });

  test.each<[Partial<HeartbeatPolicy>, string]>([
    [{ intervalMs: 0 }, "intervalMs: must be at least 10 ms, which timers can keep; it is 0 ms"],
    [{ intervalMs: -1 }, "intervalMs: must be at least 10 ms, which timers can keep; it is -1 ms"],
    [{ intervalMs: 9.9 }, "intervalMs: must be at least 10 ms, which timers can keep; it is 9.9 ms"],
    [{ intervalMs: Number.NaN }, "intervalMs: must be at least 10 ms, which timers can keep; it is NaN ms"],
    [{ intervalMs: 60_001 }, "intervalMs: must not be greater than the timeout, 60000 ms; it is 60001 ms"],
    [{ missed: 0 }, `missed: ${count} 0`],
    [{ missed: 2.5 }, `missed: ${count} 2.5`],
  ])("of heartbeats: %j", (policy, problem) => {
    const heartbeat = { field: "beat", ...policy };
    expect(listed(checkMethodPolicy({ timeoutMs: 60_000, heartbeat }, serverStream))).toEqual([`heartbeat.${problem}`]);
  });

  test.each<[ServicePolicy, string]>([
    [{ timeoutMs: 0 }, `timeoutMs: ${positive} 0 ms`],
    [{ breaker: { failureRatio: 2 } }, `breaker.failureRatio: ${ratio} 2`],
    [{ retryThrottling: { maxTokens: 0 } }, `retryThrottling.maxTokens: ${positive} 0`],
    [
      { retryThrottling: { maxTokens: 1_001 } },
      "retryThrottling.maxTokens: must be at most 1000 (gRFC A6); it is 1001",
    ],
    [{ retryThrottling: { tokenRatio: 0 } }, `retryThrottling.tokenRatio: ${positive} 0`],
    [
      { retryThrottling: { tokenRatio: 0.0009 } },
      "retryThrottling.tokenRatio: must be at least 0.001, of which gRFC A6 keeps no less; it is 0.0009",
    ],
    [{ retryBudget: { ratio: 0 } }, `retryBudget.ratio: ${ratio} 0`],
    [{ retryBudget: { windowMs: 0 } }, `retryBudget.windowMs: ${positive} 0 ms`],
    [{ retryBudget: { minInFlight: 0 } }, `retryBudget.minInFlight: ${count} 0`],
  ])("of a service: %j", (policy, problem) => {
    expect(listed(checkServicePolicy(policy))).toEqual([problem]);
  });
});

describe("repetition (R9)", () => {
  const unsafe = "on a method that is not safe to repeat: set idempotency_level, or idempotency_key: {}";
  const once = "method: once a message was sent it cannot be sent again";

  test.each<[MethodPolicy, MethodFacts, string[]]>([
    [{ retry: {} }, { kind: "unary", idempotency: "UNKNOWN" }, [`retry: retry ${unsafe}`]],
    [{ hedge: {} }, { kind: "unary", idempotency: "UNKNOWN" }, [`hedge: hedge ${unsafe}`]],
    [{ retry: {} }, { kind: "client-stream", idempotency: "IDEMPOTENT" }, [`retry: retry on a client-stream ${once}`]],
    [{ hedge: {} }, { kind: "bidi", idempotency: "IDEMPOTENT" }, [`hedge: hedge on a bidi ${once}`]],
    [
      { retry: {} },
      { kind: "bidi", idempotency: "UNKNOWN" },
      [`retry: retry ${unsafe}`, `retry: retry on a bidi ${once}`],
    ],
    [
      { hedge: {} },
      { kind: "server-stream", idempotency: "NO_SIDE_EFFECTS" },
      [
        "hedge: hedge on a server-stream method: the first OK wins (gRFC A6), and a stream has it at its end; use retry",
      ],
    ],
    [{ retry: {} }, { kind: "unary", idempotency: "IDEMPOTENT" }, []],
    [{ retry: {} }, { kind: "server-stream", idempotency: "NO_SIDE_EFFECTS" }, []],
    [{ retry: {}, idempotencyKey: {} }, { kind: "unary", idempotency: "UNKNOWN" }, []],
  ])("%j on %j", (policy, facts, problems) => {
    expect(listed(checkMethodPolicy(policy, facts))).toEqual(problems);
  });
});

describe("what may be said", () => {
  test.each<[MethodPolicy, MethodFacts]>([
    [{}, unary],
    [{ timeoutMs: 0.5 }, unary],
    [{ timeoutMs: Number.POSITIVE_INFINITY }, unary],
    [{ retry: { maxAttempts: 2, codes: ["unavailable" as never, "14" as never] } }, unary],
    [{ hedge: { delayMs: 0, maxAttempts: 9 } }, unary],
    [{ breaker: { failureRatio: 1, slowRatio: 0.001, trials: 1, windowCalls: 1 } }, unary],
    [{ resume: { requestField: "after", cursorField: "revision" } }, serverStream],
    [
      { resume: { requestField: "after", cursorField: "revision" }, retry: {}, heartbeat: { field: "b" } },
      serverStream,
    ],
    [
      {
        resume: {
          requestField: "after",
          cursorField: "revision",
          progressField: "moved",
          limitField: "most",
          fromStart: true,
          codes: ["UNAVAILABLE", "unknown" as never, "4" as never],
          maxFailures: 1,
          initialBackoffMs: 2,
          maxBackoffMs: 2,
          multiplier: 0.5,
          jitter: "a6",
        },
        // One field may be both: a heartbeat that carries a position is a progress marker.
        heartbeat: { field: "moved", intervalMs: 10, missed: 1 },
      },
      serverStream,
    ],
    [{ heartbeat: { field: "beat" } }, { kind: "bidi", idempotency: "UNKNOWN" }],
    [{ heartbeat: { field: "beat" } }, { kind: "server-stream", idempotency: "UNKNOWN" }],
    [{ timeoutMs: 5_000, heartbeat: { field: "beat", intervalMs: 5_000 } }, serverStream],
    [{ heartbeat: { field: "beat", intervalMs: Number.POSITIVE_INFINITY } }, serverStream],
  ])("%j", (policy, facts) => {
    expect(checkMethodPolicy(policy, facts)).toEqual([]);
  });
});

test.each(["client-stream", "bidi"] as const)("a %s cannot be resumed", (kind) => {
  const policy = { resume: { requestField: "after", cursorField: "revision" } };
  expect(listed(checkMethodPolicy(policy, { kind, idempotency: "IDEMPOTENT" }))).toEqual([
    `resume: resume on a ${kind} method: only a server-stream can be resumed`,
  ]);
});

test.each(["unary", "client-stream"] as const)("a %s method has no heartbeats", (kind) => {
  expect(listed(checkMethodPolicy({ heartbeat: { field: "beat" } }, { kind, idempotency: "IDEMPOTENT" }))).toEqual([
    `heartbeat: heartbeat on a ${kind} method: only a stream of responses can have heartbeats`,
  ]);
});

test.each(["client-stream", "server-stream", "bidi"] as const)("a %s method has no key", (kind) => {
  expect(listed(checkMethodPolicy({ idempotencyKey: {} }, { kind, idempotency: "UNKNOWN" }))).toEqual([
    `idempotencyKey: idempotency_key on a ${kind} method: one answer to one request is kept, and a stream is neither`,
  ]);
});

test("what is not safe to repeat is not reopened", () => {
  const resume = { requestField: "after", cursorField: "revision" };
  const facts = { kind: "server-stream", idempotency: "UNKNOWN" } as const;
  expect(listed(checkMethodPolicy({ resume }, facts))).toEqual([
    "resume: resume on a method that is not safe to repeat: set idempotency_level; no key makes another request safe",
  ]);
});

describe("a breaker of a method and one of its service", () => {
  const service = { breaker: { windowCalls: 10 } };

  test("are checked together", () => {
    expect(listed(checkMethodPolicy({ breaker: { minimumCalls: 50 } }, unary, service))).toEqual([
      "breaker.minimumCalls: must not be greater than the calls of the window, 10: it would never open; it is 50",
    ]);
    expect(checkMethodPolicy({ breaker: { minimumCalls: 10 } }, unary, service)).toEqual([]);
  });

  test("are not, while one of them is wrong by itself", () => {
    const own = { breaker: { minimumCalls: 50, trials: 0 } };
    expect(listed(checkMethodPolicy(own, unary, service))).toEqual([`breaker.trials: ${count} 0`]);
    expect(checkMethodPolicy({ breaker: { minimumCalls: 50 } }, unary, { breaker: { windowCalls: 0 } })).toEqual([]);
  });
});

test("all problems are told at once", () => {
  const policy: MethodPolicy = {
    timeoutMs: 0,
    retry: { maxAttempts: 1, codes: ["OK"] },
    hedge: { delayMs: -1 },
    breaker: { trials: 0 },
    idempotencyKey: { ttlMs: -1 },
    resume: { requestField: "after", cursorField: "revision", maxFailures: 0, jitter: "no" as never },
    heartbeat: { field: "", intervalMs: 0, missed: 0 },
  };
  const paths = checkMethodPolicy(policy, unary).map(({ path }) => path.join("."));
  expect(paths).toEqual([
    "timeoutMs",
    "retry.maxAttempts",
    "retry.codes.0",
    "hedge.delayMs",
    "breaker.trials",
    "idempotencyKey.ttlMs",
    "hedge",
    "resume.maxFailures",
    "resume.jitter",
    "resume",
    "heartbeat.intervalMs",
    "heartbeat.missed",
    "heartbeat",
  ]);
});
