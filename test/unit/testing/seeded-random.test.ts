import { describe, expect, test } from "vitest";
import { seededRandom } from "../../../src/testing/index.ts";

describe("seededRandom", () => {
  test.each([
    [1, [0.6270739405881613, 0.002735721180215478, 0.5274470399599522]],
    [4_294_967_295, [0.8964226141106337, 0.189478256739676]],
  ])("gives Mulberry32's published numbers for seed %i", (seed, numbers) => {
    const random = seededRandom(seed);
    expect(numbers.map(() => random())).toEqual(numbers);
  });

  test("tells its seed, which does not change", () => {
    const random = seededRandom(42);
    random();
    expect(random.seed).toBe(42);
  });

  test("two of one seed do not disturb each other", () => {
    const [a, b] = [seededRandom(7), seededRandom(7)];
    const first = [a(), a(), a()];
    expect([b(), b(), b()]).toEqual(first);
  });

  test.each([-1, 1.5, 4_294_967_296, Number.NaN])("refuses the seed %s", (seed) => {
    expect(() => seededRandom(seed)).toThrow(
      new RangeError(`seededRandom: the seed must be a whole number below 2^32; it is ${seed}`),
    );
  });
});
