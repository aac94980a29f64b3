import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { CRITICALITIES, type Criticality } from "../../../src/core/criticality.ts";
import { AdaptiveLimit } from "../../../src/policy/adaptive-limit.ts";
import { FixedLimit } from "../../../src/policy/fixed-limit.ts";
import { DELAYS, SHARES, Shedder, type ShedPermit, type ShedRefusal } from "../../../src/policy/shedding.ts";

function aShedder(limit: number, maxQueued = 0, loopDelayMs = 100) {
  const clock = { time: 0, now: () => clock.time };
  const shedder = new Shedder({ maxQueued, loopDelayMs }, new FixedLimit(limit), clock);
  const turns: string[] = [];
  const permits: ShedPermit[] = [];
  /** Asks, and notes what becomes of it under a name. */
  const ask = (name: string, criticality: Criticality = "critical", deadlineAt = Number.POSITIVE_INFINITY, lag = 0) => {
    const note = (turn: ShedPermit | ShedRefusal) => {
      turns.push(`${name} ${turn.granted ? "runs" : turn.because}`);
      if (turn.granted) permits.push(turn);
    };
    const turn = shedder.tryAcquire({ criticality, deadlineAt }, lag);
    if (turn.granted || !turn.queued) note(turn);
    else turn.onTurn(note);
    return turn;
  };
  return { clock, shedder, turns, permits, ask };
}

describe("without a queue", () => {
  test.each<[Criticality, number]>([
    ["sheddable", 5],
    ["sheddable_plus", 8],
    ["critical", 10],
    ["critical_plus", 10],
  ])("%s calls use %d of 10", (criticality, most) => {
    const { shedder, turns, ask } = aShedder(10);
    for (let n = 0; n < 12; n += 1) ask(`${n}`, criticality);
    expect(turns.filter((turn) => turn.endsWith("runs")).length).toBe(most);
    expect(turns.at(-1)).toBe("11 limit");
    expect(shedder.snapshot()).toEqual({ limit: 10, running: most, queued: 0 });
  });

  test("a limit of one runs anything", () => {
    for (const criticality of CRITICALITIES) {
      const { turns, ask } = aShedder(1);
      ask("a", criticality);
      expect(turns).toEqual(["a runs"]);
    }
  });

  test("a permit is given back once, whatever is said of it", () => {
    const { shedder, permits, ask } = aShedder(2);
    ask("a");
    ask("b");
    for (const say of ["success", "dropped", "timedOut", "ignore"] as const) permits[0]?.[say]();
    expect(shedder.snapshot().running).toBe(1);
  });
});

describe("with a queue", () => {
  test("all may use the whole limit, and whoever finds no room waits", () => {
    const { shedder, turns, permits, ask } = aShedder(2, 2);
    ask("a", "sheddable");
    ask("b", "sheddable");
    ask("c", "sheddable");
    expect(turns).toEqual(["a runs", "b runs"]);
    permits[0]?.success();
    expect(turns.at(-1)).toBe("c runs");
    expect(shedder.snapshot()).toEqual({ limit: 2, running: 2, queued: 0 });
  });

  test("turns come to the most critical, then to the nearest deadline, then to who came first", () => {
    const { turns, permits, ask } = aShedder(1, 10);
    ask("first");
    ask("late sheddable", "sheddable", 500);
    ask("soon sheddable", "sheddable", 100);
    ask("any time");
    ask("in 900", "critical", 900);
    ask("in 300", "critical", 300);
    ask("in 300 too", "critical", 300);
    ask("plus", "critical_plus");
    for (let n = 0; n < 8; n += 1) permits[n]?.success();
    expect(turns).toEqual([
      "first runs",
      "plus runs",
      "in 300 runs",
      "in 300 too runs",
      "in 900 runs",
      "any time runs",
      "soon sheddable runs",
      "late sheddable runs",
    ]);
  });

  test("a full queue turns away who matters no more than those in it", () => {
    const { turns, ask } = aShedder(1, 1);
    ask("a");
    ask("b", "sheddable_plus");
    ask("c", "sheddable_plus", 1);
    ask("d", "sheddable");
    expect(turns).toEqual(["a runs", "c limit", "d limit"]);
  });

  test("who matters more takes the place of the least critical, and of those of the farthest deadline", () => {
    const { turns, permits, ask } = aShedder(1, 3);
    ask("a");
    ask("sheddable in 900", "sheddable", 900);
    ask("sheddable in 100", "sheddable", 100);
    ask("plus", "sheddable_plus");
    ask("b");
    ask("c", "critical_plus");
    ask("d");
    ask("e");
    ask("f");
    expect(turns).toEqual([
      "a runs",
      "sheddable in 900 displaced",
      "sheddable in 100 displaced",
      "plus displaced",
      "e limit",
      "f limit",
    ]);
    for (let n = 0; n < 4; n += 1) permits[n]?.success();
    expect(turns.slice(-3)).toEqual(["c runs", "b runs", "d runs"]);
  });

  test("those whose deadline has passed leave when a turn comes, and are never run", () => {
    const { clock, shedder, turns, permits, ask } = aShedder(1, 3);
    ask("a");
    ask("b", "critical", 10);
    ask("c", "critical", 11);
    clock.time = 10;
    permits[0]?.success();
    expect(turns).toEqual(["a runs", "b expired", "c runs"]);
    expect(shedder.snapshot().queued).toBe(0);
  });

  test("they leave too when their place is wanted", () => {
    const { clock, turns, ask } = aShedder(1, 1);
    ask("a");
    ask("b", "critical_plus", 10);
    clock.time = 10;
    ask("c", "sheddable");
    expect(turns).toEqual(["a runs", "b expired"]);
  });

  test("who leaves is not called, and frees the place", () => {
    const { shedder, turns, permits, ask } = aShedder(1, 1);
    ask("a");
    const place = ask("b");
    const leave = "leave" in place ? () => place.leave() : undefined;
    expect([leave?.(), leave?.()]).toEqual([true, false]);
    ask("c");
    permits[0]?.success();
    expect(turns).toEqual(["a runs", "c runs"]);
    expect(shedder.snapshot()).toEqual({ limit: 1, running: 1, queued: 0 });
  });

  test("who comes as a permit is given back stands behind those that wait", () => {
    const { turns, permits, ask, shedder } = aShedder(1, 2);
    ask("a");
    const place = ask("b");
    if ("onTurn" in place) place.onTurn(() => ask("c"));
    permits[0]?.success();
    expect(turns).toEqual(["a runs"]);
    expect(shedder.snapshot()).toEqual({ limit: 1, running: 1, queued: 1 });
  });
});

describe("an event loop that lags", () => {
  test.each(CRITICALITIES)("refuses %s above its delay, not at it", (criticality) => {
    const most = Math.min(100 * DELAYS[criticality], 1e9);
    const { turns, ask } = aShedder(10, 5);
    ask("at", criticality, 1e9, most);
    ask("above", criticality, 1e9, most + 1);
    const refused = criticality === "critical_plus" ? "above runs" : "above event-loop";
    expect(turns).toEqual(["at runs", refused]);
  });

  test("the least critical first", () => {
    const delays = CRITICALITIES.map((criticality) => DELAYS[criticality]);
    const shares = CRITICALITIES.map((criticality) => SHARES[criticality]);
    expect(delays).toEqual(delays.toSorted((a, b) => a - b));
    expect(shares).toEqual(shares.toSorted((a, b) => a - b));
  });
});

test("a limit that follows the latency lets in as many as it stands at", () => {
  const clock = { time: 0, now: () => clock.time };
  const options = { initialLimit: 4, minLimit: 1, maxLimit: 50, tolerance: 1.5, smoothing: 1 };
  const shedder = new Shedder({ maxQueued: 0, loopDelayMs: 100 }, new AdaptiveLimit(options, clock), clock);
  const call = { criticality: "critical", deadlineAt: 1e9 } as const;
  for (let round = 0; round < 20; round += 1) {
    const turns = Array.from({ length: 4 }, () => shedder.tryAcquire(call));
    clock.time += 100;
    for (const turn of turns) if (turn.granted) turn.success();
  }
  // It grows by four while nothing is slower than usual and the limit is used.
  expect(shedder.snapshot().limit).toBeGreaterThan(4);
  const running = Array.from({ length: 60 }, () => shedder.tryAcquire(call)).filter(({ granted }) => granted).length;
  expect(running).toBe(shedder.snapshot().limit);
});

test("what a call would get is what it gets, and asking changes nothing", () => {
  const lag = fc.constantFrom(0, 150, 250, 450);
  const call = fc.record({ criticality: fc.constantFrom(...CRITICALITIES), deadlineAt: fc.integer({ max: 60 }), lag });
  const step = fc.record({ call, passMs: fc.nat(20), giveBack: fc.boolean() });
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 4 }), fc.nat(3), fc.array(step), (limit, maxQueued, steps) => {
      const { clock, shedder, permits, ask } = aShedder(limit, maxQueued);
      for (const { call, passMs, giveBack } of steps) {
        clock.time += passMs;
        if (giveBack) permits.pop()?.success();
        const before = shedder.snapshot();
        const outlook = shedder.outlook(call, call.lag);
        expect(shedder.snapshot()).toEqual(before);
        const turn = ask("a", call.criticality, call.deadlineAt, call.lag);
        expect(turn.granted ? "runs" : turn.queued ? "waits" : turn.because).toBe(outlook);
      }
    }),
  );
});
