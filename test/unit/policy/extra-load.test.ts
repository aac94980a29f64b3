import { expect, test } from "vitest";
import { ExtraLoad } from "../../../src/policy/extra-load.ts";
import { seededRandom } from "../../../src/testing/index.ts";

/** An extra load of a tenth, on calls of the last second. */
function tenth() {
  const load = new ExtraLoad(10, 1_000);
  const calls = (times: number, now: number) => {
    for (let n = 0; n < times; n += 1) load.call(now);
  };
  const spend = (now: number) => {
    let spent = 0;
    while (load.trySpend(now)) spent += 1;
    return spent;
  };
  return { load, calls, spend };
}

test.each([
  [0, 0],
  [9, 0],
  [10, 1],
  [19, 1],
  [1_000, 100],
])("%d calls earn %d", (times, expected) => {
  const { calls, spend } = tenth();
  calls(times, 0);
  expect(spend(0)).toBe(expected);
});

test("what a burst has spent is earned anew by calls, while the burst still counts", () => {
  const { calls, spend } = tenth();
  calls(100, 0);
  expect(spend(0)).toBe(10);
  calls(10, 100);
  expect(spend(100)).toBe(1);
});

test("time alone earns nothing", () => {
  const { calls, spend } = tenth();
  calls(100, 0);
  expect([spend(0), spend(999), spend(1_000), spend(60_000)]).toEqual([10, 0, 0, 0]);
});

test("what calls have earned is kept as long as they count", () => {
  const { calls, spend } = tenth();
  calls(50, 0);
  expect(spend(999)).toBe(5);
  calls(50, 1_000);
  calls(50, 2_000);
  expect(spend(2_000)).toBe(5);
});

test("calls of which nobody spent a share leave no more than those that count", () => {
  const { calls, spend } = tenth();
  for (let now = 0; now <= 10_000; now += 100) calls(10, now);
  expect(spend(10_000)).toBe(10);
});

test("it is never more than its share of all calls, however they come", () => {
  const random = seededRandom(11);
  const { load, calls, spend } = tenth();
  let [made, spent, now] = [0, 0, 0];
  for (let step = 0; step < 2_000; step += 1) {
    now += random() * 400;
    const times = Math.floor(random() * 30);
    calls(times, now);
    made += times;
    spent += random() < 0.5 ? spend(now) : Number(load.trySpend(now));
    expect(spent).toBeLessThanOrEqual(made / 10);
  }
  expect(spent).toBeGreaterThan(made / 20);
});
