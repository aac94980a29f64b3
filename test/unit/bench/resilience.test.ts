import { describe, expect, test } from "vitest";
import { arrivals, offer } from "../../../bench/resilience/arrivals.ts";
import { answered, bars, recoveredAfter, sharesBySecond } from "../../../bench/resilience/figures.ts";
import { exponential, Workers, type WorkModel } from "../../../bench/resilience/workers.ts";
import { type FakeClock, fakeClock, seededRandom } from "../../../src/testing/index.ts";

/** Chance with which all work takes its mean. */
const average = () => 1 - Math.exp(-1);

function workers(clock: FakeClock, model: Partial<WorkModel> = {}, random = average) {
  const own = new Workers({ workers: 1, meanMs: 100, ...model }, clock, random);
  const ended: string[] = [];
  const work = (name: string, signal?: AbortSignal) => {
    own.work(signal).then(
      () => ended.push(`${name} at ${clock.now()}`),
      (error) => ended.push(`${name}: ${error}`),
    );
  };
  return { own, ended, work };
}

describe("workers", () => {
  test("as many at a time as there are, the others in the order of their arrival", async () => {
    const clock = fakeClock();
    const { own, ended, work } = workers(clock, { workers: 2 });
    for (const name of ["a", "b", "c"]) work(name);
    expect(own.present).toBe(3);
    await clock.advance(99);
    expect(ended).toEqual([]);
    await clock.advance(1);
    expect(ended).toEqual(["a at 100", "b at 100"]);
    await clock.advance(100);
    expect(ended).toEqual(["a at 100", "b at 100", "c at 200"]);
    expect([own.present, clock.pending]).toEqual([0, 0]);
  });

  test("what is cancelled in the queue leaves it, and is not worked on", async () => {
    const clock = fakeClock();
    const { own, ended, work } = workers(clock);
    const caller = new AbortController();
    work("a");
    work("b", caller.signal);
    work("c");
    caller.abort("gone");
    expect(own.present).toBe(2);
    await clock.advance(200);
    expect(ended).toEqual(["b: gone", "a at 100", "c at 200"]);
  });

  test("what is cancelled before it comes to a queue is not worked on", async () => {
    const clock = fakeClock();
    const { own, ended, work } = workers(clock);
    work("a");
    work("b", AbortSignal.abort("gone"));
    expect(own.present).toBe(1);
    await clock.advance(100);
    expect(ended).toEqual(["b: gone", "a at 100"]);
  });

  test("what has begun is done to its end", async () => {
    const clock = fakeClock();
    const { own, ended, work } = workers(clock);
    const caller = new AbortController();
    work("a", caller.signal);
    caller.abort("gone");
    expect(own.present).toBe(1);
    await clock.advance(100);
    expect(ended).toEqual(["a at 100"]);
  });

  test("a timer that fires late takes nothing from what waits", async () => {
    const clock = fakeClock();
    const late = { now: () => clock.now(), setTimer: (ms: number, fire: () => void) => clock.setTimer(ms + 30, fire) };
    const own = new Workers({ workers: 1, meanMs: 100 }, late, average);
    const ended: number[] = [];
    for (let made = 0; made < 3; made += 1) own.work().then(() => ended.push(clock.now()));
    await clock.advance(1_000);
    expect(ended).toEqual([130, 230, 330]);
  });

  test("what begins while they are slow takes as many times as long", async () => {
    const clock = fakeClock();
    const { own, ended, work } = workers(clock);
    own.slowness = 10;
    work("a");
    work("b");
    await clock.advance(1_000);
    own.slowness = 1;
    await clock.advance(1_000);
    expect(ended).toEqual(["a at 1000", "b at 2000"]);
  });

  test("stragglers hold their worker for longer", async () => {
    const clock = fakeClock();
    const chances = [average(), 0.01, average(), 0.01 - 1e-9];
    const { ended, work } = workers(clock, { stragglers: { ratio: 0.01, extraMs: 500 } }, () => chances.shift() ?? 0);
    work("a");
    work("b");
    await clock.advance(699);
    expect(ended).toEqual(["a at 100"]);
    await clock.advance(1);
    expect(ended).toEqual(["a at 100", "b at 700"]);
  });
});

describe("the exponential distribution", () => {
  test("has its mean, and a deviation as great", () => {
    const random = seededRandom(7);
    const drawn = Array.from({ length: 20_000 }, () => exponential(40, random));
    const mean = drawn.reduce((sum, ms) => sum + ms, 0) / drawn.length;
    const variance = drawn.reduce((sum, ms) => sum + (ms - mean) ** 2, 0) / drawn.length;
    expect(Math.abs(mean - 40)).toBeLessThan(1);
    expect(Math.abs(Math.sqrt(variance) - 40)).toBeLessThan(2);
    expect(Math.min(...drawn)).toBeGreaterThanOrEqual(0);
  });
});

describe("a load", () => {
  test("calls come in their order, as many per second as they should", () => {
    const times = [...arrivals({ perSecond: 200, seconds: 100 }, seededRandom(3))];
    expect(Math.abs(times.length - 20_000)).toBeLessThan(500);
    expect(times).toEqual(times.toSorted((a, b) => a - b));
    expect(times.at(-1)).toBeLessThan(100_000);
  });

  test("the same chance makes the same load", () => {
    const load = { perSecond: 50, seconds: 2 };
    expect([...arrivals(load, seededRandom(4))]).toEqual([...arrivals(load, seededRandom(4))]);
  });

  test("calls are made when they come, whether those before are answered or not", async () => {
    const clock = fakeClock({ now: 5_000 });
    const load = { perSecond: 10, seconds: 1 };
    const expected = [...arrivals(load, seededRandom(5))];
    const made: number[] = [];
    const never = Promise.withResolvers<void>();
    const offered = offer(
      load,
      () => [made.push(clock.now()), never.promise][1] as Promise<void>,
      clock,
      seededRandom(5),
    );
    await clock.advance(1_000);
    expect(made.map((at) => at - 5_000)).toEqual(expected.map((at) => expect.closeTo(at, 6)));
    never.resolve();
    const records = await offered;
    expect(records.map(({ atMs }) => atMs)).toEqual(expected);
  });

  test("a client that is late has made its calls later, and they have taken as much longer", async () => {
    const clock = fakeClock();
    const late = {
      now: () => clock.now(),
      wallTime: () => clock.wallTime(),
      setTimer: (ms: number, fire: () => void) => clock.setTimer(ms + 7, fire),
    };
    const offered = offer({ perSecond: 1, seconds: 10 }, async () => {}, late, seededRandom(6));
    await clock.advance(11_000);
    const records = await offered;
    expect(records[0]?.lateMs).toBeCloseTo(7, 6);
    expect(records.map(({ tookMs }) => tookMs)).toEqual(records.map(({ lateMs }) => lateMs));
  });

  test("a call takes as long as since it should have been made, and is answered or not", async () => {
    const clock = fakeClock();
    const random = seededRandom(5);
    const load = { perSecond: 10, seconds: 0.5 };
    let made = 0;
    const call = () => {
      made += 1;
      return new Promise<void>((resolve, reject) => {
        clock.setTimer(30, made % 2 ? resolve : () => reject(new Error("refused")));
      });
    };
    const offered = offer(load, call, clock, random);
    await clock.advance(1_000);
    const records = await offered;
    expect(records.length).toBeGreaterThan(2);
    expect(records.map(({ ok }) => ok)).toEqual(records.map((_, index) => index % 2 === 0));
    expect(records.map(({ tookMs }) => tookMs)).toEqual(records.map(() => expect.closeTo(30, 6)));
  });
});

describe("figures", () => {
  const call = (atMs: number, ok: boolean) => ({ atMs, lateMs: 0, tookMs: 5, ok });

  test("the answered of a time, its first instant among them and its last one not", () => {
    const calls = [call(999, true), call(1_000, true), call(1_500, false), call(1_999, true), call(2_000, true)];
    expect(answered(calls, 1_000, 2_000)).toBe(2);
  });

  test("the share of each second's calls, by when they came", () => {
    const calls = [call(0, true), call(999, false), call(2_000, true)];
    expect(sharesBySecond(calls, 3)).toEqual([0.5, Number.NaN, 1]);
  });

  test.each<[string, number[], number, number | undefined]>([
    ["at once", [0, 1, 1, 1, 1, 1], 1, 0],
    ["after a while", [0, 0, 0, 1, 1, 1, 1, 1], 1, 2],
    ["with one bad second in five", [0, 1, 1, 0.5, 1, 1], 1, 0],
    ["not with a worse one", [0, 1, 1, 0.4, 1, 1], 1, undefined],
    ["not before the time is over", [1, 0, 1, 1, 1, 1], 1, undefined],
    ["not for what was before", [1, 1, 1, 1, 1, 0, 0, 0, 0, 0], 5, undefined],
    ["not for a second without calls", [0, 1, 1, Number.NaN, 1, 1], 1, undefined],
  ])("back %s", (_, shares, second, expected) => {
    expect(recoveredAfter(shares, second)).toBe(expected);
  });

  test("bars go from the lowest to the highest", () => {
    expect(bars([0, 0.5, 1, Number.NaN])).toBe("▁▅█?");
  });
});
