import { ClientError } from "nice-grpc-common";
import { describe, expect, onTestFinished, test, vi } from "vitest";
import { breakersOf } from "../../../src/client/breakers-of.ts";
import {
  type CircuitBreaker,
  type CircuitBreakerOptions,
  circuitBreaker,
} from "../../../src/client/middlewares/circuit-breaker.ts";
import type { RpcError } from "../../../src/core/errors.ts";
import type { ObserverEvent } from "../../../src/core/observer.ts";
import { Status } from "../../../src/core/status.ts";
import { fakeClock, seededRandom } from "../../../src/testing/index.ts";
import { gate, rejection } from "../../support/orders.ts";
import { aFailure, toldOf } from "../../support/retrying.ts";

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

  test("refuses what is no function, and counts nothing", async () => {
    const { breaker } = aBreaker();
    await expect(breaker.run(undefined as never)).rejects.toThrow(
      "circuitBreaker: run takes a function; it got undefined",
    );
    expect(breaker.snapshot()).toEqual({});
  });

  test("asks isFailure, if there is one", async () => {
    const { breaker } = aBreaker({ isFailure: (error) => error === "yes" });
    await rejection(breaker.run(failing("yes")));
    await rejection(breaker.run(failing(aFailure({ code: Status.UNAVAILABLE }))));
    expect(breaker.snapshot()).toMatchObject({ run: { calls: 2, failures: 1 } });
  });

  test("a trial gives its place back, even where isFailure throws", async () => {
    const warned = vi.spyOn(process, "emitWarning").mockImplementation(() => {});
    onTestFinished(() => warned.mockRestore());
    const mistake = new Error("a mistake of isFailure's");
    const isFailure = (error: unknown) => {
      if (error === "bad luck") throw mistake;
      return true;
    };
    const { breaker, clock } = aBreaker({ isFailure });
    await rejection(breaker.run(failing("no")));
    await rejection(breaker.run(failing("no")));
    await clock.advance(1_000);
    expect(await rejection(breaker.run(failing("bad luck")))).toBe("bad luck");
    expect(warned).toHaveBeenCalledWith(expect.stringContaining("isFailure threw: Error: a mistake of isFailure's"));
    expect(breaker.snapshot()).toMatchObject({ run: { state: "half-open", trials: 0, calls: 0 } });
  });
});

/** Runs work that fails, so often. */
async function fail(breaker: CircuitBreaker, times: number, name?: string): Promise<void> {
  for (let n = 0; n < times; n += 1) await rejection(breaker.run(failing("no"), name));
}

describe("a trial", () => {
  test("is the first that runs when the open time is over, and the others are told that it is under way", async () => {
    const { breaker, clock } = aBreaker();
    await fail(breaker, 2);
    await clock.advance(999);
    expect(await rejection(breaker.run(() => "early"))).toMatchObject({ retryAfterMs: 1 });
    await clock.advance(1);
    const held = gate();
    const trial = breaker.run(() => held.promise);
    expect(await rejection(breaker.run(() => "second"))).toMatchObject({
      ...{ reason: "BREAKER_OPEN", retryAfterMs: 5_000 },
      details: "the circuit breaker is half-open: no attempt was sent; its trials are under way",
    });
    held.resolve();
    await trial;
    expect(await breaker.run(() => "closed")).toBe("closed");
  });

  test("that is aborted gives its place back, and decides nothing", async () => {
    const { breaker, clock } = aBreaker();
    await fail(breaker, 2);
    await clock.advance(1_000);
    for (let n = 0; n < 10; n += 1) await rejection(breaker.run(failing(new DOMException("stop", "AbortError"))));
    expect(breaker.snapshot()).toMatchObject({ run: { state: "half-open", calls: 0, trials: 0 } });
    await breaker.run(() => 1);
    expect(breaker.snapshot()).toMatchObject({ run: { state: "closed" } });
  });

  test("that hangs is given up, and the next runs in its time", async () => {
    const { breaker, clock } = aBreaker();
    await fail(breaker, 2);
    await clock.advance(1_000);
    const held = gate();
    const hanging = breaker.run(() => held.promise);
    await clock.advance(5_000);
    expect(await rejection(breaker.run(() => 1))).toMatchObject({ retryAfterMs: 2_000 });
    await clock.advance(2_000);
    expect(await breaker.run(() => 1)).toBe(1);
    held.reject(new Error("late"));
    await rejection(hanging);
    expect(breaker.snapshot()).toMatchObject({ run: { state: "closed", calls: 0 } });
  });
});

test("work that is longer than slowMs is slow, and opens it without a failure", async () => {
  const { breaker, clock } = aBreaker({ slowMs: 10 });
  for (const ms of [11, 11]) {
    const held = gate();
    const work = breaker.run(() => held.promise);
    await clock.advance(ms);
    held.resolve();
    await work;
  }
  expect(breaker.snapshot()).toMatchObject({ run: { state: "open", failures: 0, slow: 2, slowRatio: 1 } });
});

test("work that throws at once fails as one that rejects", async () => {
  const { breaker } = aBreaker();
  const thrown = new Error("at once");
  const work = () => {
    throw thrown;
  };
  expect(await rejection(breaker.run(work))).toBe(thrown);
  expect(breaker.snapshot()).toMatchObject({ run: { calls: 1, failures: 1 } });
});

test("with isFailure an abort is what that says", async () => {
  const { breaker } = aBreaker({ isFailure: (error) => error instanceof DOMException });
  await rejection(breaker.run(failing(new DOMException("stop", "AbortError"))));
  expect(breaker.snapshot()).toMatchObject({ run: { calls: 1, failures: 1 } });
});

test("codes say what counts, of what has a status", async () => {
  const { breaker } = aBreaker({ codes: ["NOT_FOUND"], minimumCalls: 20 });
  for (const code of [Status.NOT_FOUND, Status.UNAVAILABLE]) await rejection(breaker.run(failing(aFailure({ code }))));
  await rejection(breaker.run(failing(new Error("no status"))));
  expect(breaker.snapshot()).toMatchObject({ run: { calls: 3, failures: 2 } });
});

test("its open time is drawn from the random that it is given", async () => {
  const openTimes = [1, 2].map(async () => {
    const { breaker } = aBreaker({ random: seededRandom(7) });
    await fail(breaker, 2);
    return breaker.snapshot().run?.retryAfterMs ?? 0;
  });
  const [one = 0, other] = await Promise.all(openTimes);
  expect(one).toBe(other);
  expect(one).toBeGreaterThanOrEqual(800);
  expect(one).toBeLessThan(1_200);
});

describe("by hand", () => {
  const outcomeOf = (breaker: CircuitBreaker, name?: string) =>
    breaker.run(() => "ran", name).catch(({ details }: RpcError) => details);
  const FORCED = "the circuit breaker is forced-open: no attempt was sent; it stays so until it is reset";

  test("forceOpen lets nothing run, and the error does not say when, since nobody knows", async () => {
    const { breaker, clock } = aBreaker();
    breaker.forceOpen();
    await clock.advance(3_600_000);
    const error = await rejection(breaker.run(() => "ran"));
    expect(error).toMatchObject({ reason: "BREAKER_OPEN", details: FORCED, attempts: 0 });
    expect((error as RpcError).retryAfterMs).toBeUndefined();
    breaker.reset();
    expect(await outcomeOf(breaker)).toBe("ran");
  });

  test("with a name it is for that one, without for all, and for those that are still to come", async () => {
    const { breaker } = aBreaker();
    await breaker.run(() => 1, "stock");
    breaker.forceOpen("stock");
    expect([await outcomeOf(breaker, "stock"), await outcomeOf(breaker, "shop")]).toEqual([FORCED, "ran"]);
    breaker.forceOpen();
    const names = ["stock", "shop", "new"];
    expect(await Promise.all(names.map((name) => outcomeOf(breaker, name)))).toEqual([FORCED, FORCED, FORCED]);
    breaker.reset("shop");
    const again = [...names, "newer"].map((name) => outcomeOf(breaker, name));
    expect(await Promise.all(again)).toEqual([FORCED, "ran", FORCED, FORCED]);
    breaker.reset();
    const all = [...names, "newest"].map((name) => outcomeOf(breaker, name));
    expect(await Promise.all(all)).toEqual(Array(4).fill("ran"));
  });

  test.each([
    ["forceClosed", { state: "forced-closed", calls: 9, failures: 9 }],
    ["disable", { state: "disabled", calls: 0, failures: 0 }],
  ] as const)("%s lets everything run, before the first and after", async (force, snapshot) => {
    const { breaker } = aBreaker();
    breaker[force]();
    await fail(breaker, 9);
    expect(breaker.snapshot().run).toMatchObject(snapshot);
  });

  test("reset of an open one lets the next run at once", async () => {
    const { breaker } = aBreaker();
    await fail(breaker, 2);
    breaker.reset("run");
    expect(await outcomeOf(breaker)).toBe("ran");
  });

  test.each(["forceOpen", "forceClosed", "disable", "reset"] as const)("%s refuses a name that none has", (steer) => {
    const { breaker } = aBreaker();
    expect(() => breaker[steer]("shop")).toThrow(new TypeError('there is no breaker "shop"; there are none yet'));
  });
});

test("the observer is told of each change, with the breaker's name and what it stood at", async () => {
  const events: ObserverEvent[] = [];
  const { breaker, clock } = aBreaker({ observer: (event) => void events.push(event) });
  await fail(breaker, 2, "stock");
  await clock.advance(1_000);
  await breaker.run(() => 1, "stock");
  breaker.forceOpen("stock");
  breaker.reset();
  const name = "stock";
  expect(toldOf(events)).toEqual([
    ["breaker", "opened", { name, from: "closed", calls: 2, failures: 2, slow: 0, openMs: 1_000 }],
    ["breaker", "half-opened", { name, from: "open", calls: 2, failures: 2, slow: 0 }],
    ["breaker", "closed", { name, from: "half-open", calls: 1, failures: 0, slow: 0 }],
    ["breaker", "forced-open", { name, from: "closed", calls: 0, failures: 0, slow: 0 }],
    ["breaker", "closed", { name, from: "forced-open", calls: 0, failures: 0, slow: 0 }],
  ]);
});

test("an observer that throws harms nobody", async () => {
  const warned = vi.spyOn(process, "emitWarning").mockImplementation(() => {});
  onTestFinished(() => warned.mockRestore());
  const { breaker } = aBreaker({
    observer: () => {
      throw new Error("an observer's");
    },
  });
  expect(await rejection(breaker.run(failing("first")))).toBe("first");
  expect(await rejection(breaker.run(failing("second")))).toBe("second");
  expect(breaker.snapshot().run?.state).toBe("open");
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
    "minimumCalls must not be greater than the calls of the window, 5: it would never open; it is 6",
  ],
  [{ codes: ["NO_STATUS" as never] }, 'codes.0 gRPC has no status "NO_STATUS"'],
  [{ isFailure: 5 as never }, "isFailure must be a function; it is 5"],
  [{ observer: "log" as never }, 'observer must be a function; it is "log"'],
  [{ clock: 5 as never }, "clock must be an object; it is 5"],
  [{ random: {} as never }, "random must be a function; it is [object Object]"],
  [{ windowCalls: "5" as never, minimumCalls: 9 }, 'windowCalls must be a number; it is "5"'],
  [{ failureRatio: "0.5" as never }, 'failureRatio must be a number; it is "0.5"'],
  [{ codes: "UNAVAILABLE" as never }, 'codes must be an array of names; it is "UNAVAILABLE"'],
  [{ scope: "Service" as never }, 'scope must be method or service; it is "Service"'],
  [null as never, "the options must be an object; they are null"],
  [{ slowRatio: 0 }, "slowRatio must be a ratio above 0 and at most 1; it is 0"],
  [{ slowMs: 0 }, "slowMs must be greater than zero; it is 0 ms"],
  [{ windowMs: -1 }, "windowMs must be greater than zero; it is -1 ms"],
  [{ windowCalls: 1.5 }, "windowCalls must be a whole number of at least 1; it is 1.5"],
  [{ minimumCalls: 0 }, "minimumCalls must be a whole number of at least 1; it is 0"],
  [{ maxOpenMs: Number.NaN }, "maxOpenMs must be greater than zero; it is NaN ms"],
  [{ trialTimeoutMs: 0 }, "trialTimeoutMs must be greater than zero; it is 0 ms"],
  [
    { random: 1 as never, failureRatio: 0, windowMs: 0, trials: 0, codes: ["OK"] },
    [
      "random must be a function; it is 1",
      "failureRatio must be a ratio above 0 and at most 1; it is 0",
      "windowMs must be greater than zero; it is 0 ms",
      "trials must be a whole number of at least 1; it is 0",
      "codes.0 OK is no failure",
    ].join("; "),
  ],
])("refuses %j", (options, problems) => {
  expect(() => circuitBreaker(options)).toThrow(new TypeError(`circuitBreaker: ${problems}`));
});

test("refuses what is no option", () => {
  expect(() => circuitBreaker({ failureRate: 1 } as never)).toThrow(
    /^circuitBreaker: there is no option failureRate; /,
  );
});
