import { ClientError } from "nice-grpc-common";
import { describe, expect, test } from "vitest";
import { breakersOf } from "../../../src/client/breakers-of.ts";
import { type CircuitBreakerOptions, circuitBreaker } from "../../../src/client/circuit-breaker.ts";
import { Status } from "../../../src/core/status.ts";
import { fakeClock } from "../../../src/testing/index.ts";
import { rejection } from "../../support/orders.ts";
import { aFailure } from "../../support/retrying.ts";

/** A breaker that opens for a second at the second failure of two, and lets one trial through. */
function aBreaker(options: CircuitBreakerOptions = {}) {
  const clock = fakeClock();
  const chance = { clock, random: () => 0.5 };
  return { clock, breaker: circuitBreaker({ minimumCalls: 2, openMs: 1_000, trials: 1, ...chance, ...options }) };
}

const failing = (error: unknown) => () => Promise.reject(error);

describe("run", () => {
  test("gives what the work gives, now or later", async () => {
    const { breaker } = aBreaker();
    expect(await breaker.run(() => 1)).toBe(1);
    expect(await breaker.run(async () => 2)).toBe(2);
    expect(breaker.snapshot()).toMatchObject({ run: { calls: 2, failures: 0 } });
  });

  test("while it is open the work is not begun, and the error says when the next trial is due", async () => {
    const { breaker, clock } = aBreaker();
    const failure = new Error("no");
    expect(await rejection(breaker.run(failing(failure)))).toBe(failure);
    expect(await rejection(breaker.run(failing(failure)))).toBe(failure);
    await clock.advance(400);
    const begun: string[] = [];
    expect(await rejection(breaker.run(() => begun.push("work")))).toMatchObject({
      ...{ code: Status.UNAVAILABLE, reason: "BREAKER_OPEN", attempts: 0, retryAfterMs: 600, path: "" },
      message: "UNAVAILABLE: the circuit breaker is open: no attempt was sent; the next trial is due in 600 ms",
    });
    expect(begun).toEqual([]);
    await clock.advance(600);
    expect(await breaker.run(() => "trial")).toBe("trial");
    expect(breaker.snapshot().run?.state).toBe("closed");
  });

  test("each name has a breaker of its own, and is told", async () => {
    const { breaker } = aBreaker();
    breaker.run(() => 1, "stock").catch(() => {});
    breaker.forceOpen("stock");
    expect(await rejection(breaker.run(() => 1, "stock"))).toMatchObject({ reason: "BREAKER_OPEN", path: "stock" });
    expect(await breaker.run(() => 1)).toBe(1);
    expect(Object.keys(breaker.snapshot())).toEqual(["stock", "run"]);
    expect(() => breaker.forceOpen("shop")).toThrow('there is no breaker "shop"; there are stock, run');
  });

  test.each<[string, unknown, object]>([
    ["an error of the program's", new TypeError("no"), { calls: 1, failures: 1 }],
    ["what is no error", "no", { calls: 1, failures: 1 }],
    ["a time that ran out", new DOMException("late", "TimeoutError"), { calls: 1, failures: 1 }],
    ["UNAVAILABLE", aFailure(), { calls: 1, failures: 1 }],
    ["nice-grpc's UNAVAILABLE", new ClientError("/p", Status.UNAVAILABLE, "down"), { calls: 1, failures: 1 }],
    ["NOT_FOUND", aFailure({ code: Status.NOT_FOUND }), { calls: 1, failures: 0 }],
    ["an abort", new DOMException("stop", "AbortError"), { calls: 0, failures: 0 }],
    ["another breaker's rejection", aFailure({ reason: "BREAKER_OPEN" }), { calls: 0, failures: 0 }],
  ])("counts %s by what it says about what is guarded", async (_, thrown, counts) => {
    const { breaker } = aBreaker();
    expect(await rejection(breaker.run(failing(thrown)))).toBe(thrown);
    expect(breaker.snapshot()).toMatchObject({ run: counts });
  });

  test("asks isFailure, if there is one", async () => {
    const { breaker } = aBreaker({ isFailure: (error) => error === "yes" });
    await rejection(breaker.run(failing("yes")));
    await rejection(breaker.run(failing(aFailure({ code: Status.UNAVAILABLE }))));
    expect(breaker.snapshot()).toMatchObject({ run: { calls: 2, failures: 1 } });
  });

  test("a trial gives its place back, even where isFailure throws", async () => {
    const mistake = new Error("a mistake of isFailure's");
    const isFailure = (error: unknown) => {
      if (error === "bad luck") throw mistake;
      return true;
    };
    const { breaker, clock } = aBreaker({ isFailure });
    await rejection(breaker.run(failing("no")));
    await rejection(breaker.run(failing("no")));
    await clock.advance(1_000);
    expect(await rejection(breaker.run(failing("bad luck")))).toBe(mistake);
    expect(breaker.snapshot()).toMatchObject({ run: { state: "half-open", trials: 0, calls: 0 } });
  });
});

test("breakersOf gives its breakers", () => {
  const { breaker } = aBreaker();
  breaker.forceOpen();
  expect(breakersOf(breaker).snapshot()).toEqual(breaker.snapshot());
});

test.each<[CircuitBreakerOptions, string]>([
  [{ failureRatio: 2 }, "failureRatio must be a ratio above 0 and at most 1; it is 2"],
  [
    { trials: 0, openMs: 0 },
    "openMs must be greater than zero; it is 0 ms; trials must be a whole number of at least 1; it is 0",
  ],
  [
    { windowCalls: 5, minimumCalls: 6 },
    "minimumCalls must not be greater than windowCalls, 5: it would never open; it is 6",
  ],
  [{ codes: ["NO_STATUS" as never] }, 'codes.0 gRPC has no status "NO_STATUS"'],
  [{ isFailure: 5 as never }, "isFailure must be a function; it is 5"],
])("refuses %j", (options, problems) => {
  expect(() => circuitBreaker(options)).toThrow(new TypeError(`circuitBreaker: ${problems}`));
});

test("refuses what is no option", () => {
  expect(() => circuitBreaker({ failureRate: 1 } as never)).toThrow(
    /^circuitBreaker: there is no option failureRate; /,
  );
});
