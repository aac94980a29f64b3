import { describe, expect, test } from "vitest";
import { type MethodPolicy, mergePolicy, type ServicePolicy } from "../../../src/contract/policy.ts";
import { resolveRateLimit, resolveShed } from "../../../src/contract/resolve-serving.ts";
import { checkMethodPolicy, checkServicePolicy } from "../../../src/contract/validate.ts";

/** Problems as a table shows them: `path: message`. */
const listed = (problems: ReturnType<typeof checkMethodPolicy>) =>
  problems.map(({ path, message }) => `${path.join(".")}: ${message}`);

const ofMethod = (policy: MethodPolicy, service: ServicePolicy = {}) =>
  listed(checkMethodPolicy(policy, { kind: "server-stream", idempotency: "UNKNOWN" }, service));

const noCalls = "rateLimit: rate_limit has no calls: say how many there may be";

describe("what service and method say of load", () => {
  test.each<[MethodPolicy & ServicePolicy, string[]]>([
    [{ rateLimit: { calls: 10 } }, []],
    [{ rateLimit: { calls: 0.5, perMs: 60_000, burst: 3, key: "method" } }, []],
    [{ rateLimit: {} }, [noCalls]],
    [
      { rateLimit: { calls: 0, perMs: -1, burst: 0.5, key: "ip" as never } },
      [
        "rateLimit.calls: must be greater than zero; it is 0",
        "rateLimit.perMs: must be greater than zero; it is -1 ms",
        "rateLimit.burst: must be a whole number of at least 1; it is 0.5",
        'rateLimit.key: must be one of identity, peer, method; it is "ip"',
      ],
    ],
    [
      { rateLimit: { calls: 1, perMs: 86_400_000, burst: 30 } },
      [
        "rateLimit: takes 2592000000 ms to fill again, and it must be at most 2147483647: a bucket is forgotten with its process",
      ],
    ],
    [{ shed: {} }, []],
    [{ shed: { maxConcurrent: 1, maxQueued: 0 } }, []],
    [{ shed: { adaptive: { minLimit: 2 }, maxQueued: 5, maxWaitMs: 100 } }, []],
    [
      { shed: { maxConcurrent: 0, adaptive: { minLimit: 9, maxLimit: 3 }, maxQueued: -1, maxWaitMs: 0 } },
      [
        "shed.maxConcurrent: must be a whole number of at least 1; it is 0",
        "shed: max_concurrent and adaptive exclude each other: a limit is either fixed or follows the latency",
        "shed.adaptive.minLimit: must not be greater than the greatest limit, 3; it is 9",
        "shed.maxQueued: must be a whole number of at least 0; it is -1",
        "shed.maxWaitMs: must be greater than zero; it is 0 ms",
      ],
    ],
    [
      { shed: { maxWaitMs: 5 } },
      ["shed.maxWaitMs: has no effect, since none may wait: set max_queued, or leave it out"],
    ],
    [{ criticality: "sheddable_plus" }, []],
    [
      { criticality: "urgent" as never },
      ['criticality: must be one of sheddable, sheddable_plus, critical, critical_plus; it is "urgent"'],
    ],
  ])("%j", (policy, problems) => {
    expect(listed(checkServicePolicy(policy))).toEqual(problems);
    expect(ofMethod(policy)).toEqual(problems);
  });

  test("a method may leave a rate to its service, and both together must make sense", () => {
    expect(ofMethod({ rateLimit: { key: "method" } })).toEqual([noCalls]);
    expect(ofMethod({ rateLimit: { key: "method" } }, { rateLimit: { calls: 5 } })).toEqual([]);
    const slow = { rateLimit: { calls: 1, perMs: 86_400_000 } };
    expect(ofMethod({ rateLimit: { burst: 30 } }, slow)).toHaveLength(1);
    // What is wrong with the service alone is told there.
    expect(ofMethod({ rateLimit: { burst: 3 } }, { rateLimit: { calls: 0 } })).toEqual([]);
  });
});

describe("what holds for a method", () => {
  test.each<[ServicePolicy, MethodPolicy, MethodPolicy]>([
    [{ rateLimit: { calls: 5, burst: 9 } }, { rateLimit: { calls: 2 } }, { rateLimit: { calls: 2, burst: 9 } }],
    [{ rateLimit: { calls: 5 } }, {}, { rateLimit: { calls: 5 } }],
    [{ criticality: "sheddable" }, {}, { criticality: "sheddable" }],
    [{ criticality: "sheddable" }, { criticality: "critical_plus" }, { criticality: "critical_plus" }],
    // A service's bound is for all of its methods together.
    [{ shed: { maxConcurrent: 5 } }, {}, {}],
    [{ shed: { maxConcurrent: 5 } }, { shed: { maxQueued: 2 } }, { shed: { maxQueued: 2 } }],
  ])("service %j, method %j", (service, method, merged) => {
    expect(mergePolicy(service, method, false)).toEqual(merged);
  });
});

test("defaults", () => {
  expect(resolveRateLimit({ calls: 2.5 })).toEqual({ calls: 2.5, perMs: 1_000, burst: 3, key: "identity" });
  const given = { calls: 1, perMs: 60_000, burst: 9, key: "peer" } as const;
  expect(resolveRateLimit(given)).toEqual(given);
  const limit = { initialLimit: 20, minLimit: 5, maxLimit: 200, tolerance: 1.5, smoothing: 0.2 };
  expect(resolveShed({})).toEqual({ limit, maxQueued: 0, maxWaitMs: Number.POSITIVE_INFINITY });
  const shed = { maxConcurrent: 7, maxQueued: 3, maxWaitMs: 50 };
  expect(resolveShed(shed)).toEqual({ limit: 7, maxQueued: 3, maxWaitMs: 50 });
});
