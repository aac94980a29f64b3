import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { RulePicker } from "../../../../src/testing/fault-proxy/rule-picker.ts";
import type { Which } from "../../../../src/testing/fault-proxy/rules.ts";

type Rule = Which & { readonly name: string };

const place = (...rules: Rule[]) => rules.map((rule, index) => ({ rule, index }));

/** Which rule takes each of the first so many. */
function taken(rules: Rule[], count: number, seed = 1): (number | undefined)[] {
  const picker = new RulePicker(place(...rules), seed);
  return Array.from({ length: count }, () => picker.pick(() => true)?.index);
}

const positions = (which: Which, count: number) =>
  taken([{ name: "a", ...which }], count).flatMap((rule, index) => (rule === 0 ? [index + 1] : []));

describe("which are taken", () => {
  test.each<[Which, number[]]>([
    [{}, [1, 2, 3, 4, 5, 6]],
    [{ every: 1 }, [1, 2, 3, 4, 5, 6]],
    [{ every: 3 }, [3, 6]],
    [{ first: 2 }, [1, 2]],
    [{ nth: [5, 1] }, [1, 5]],
    [{ ratio: 0 }, []],
    [{ ratio: 1 }, [1, 2, 3, 4, 5, 6]],
  ])("%j", (which, expected) => {
    expect(positions(which, 6)).toEqual(expected);
  });

  test("about as many as a ratio says", () => {
    expect(positions({ ratio: 0.3 }, 10_000).length / 10_000).toBeCloseTo(0.3, 1);
  });
});

describe("of several rules", () => {
  test("the first one that takes it applies, and all count it", () => {
    const rules = [
      { name: "a", nth: [2] },
      { name: "b", every: 2 },
      { name: "c", first: 5 },
    ];
    expect(taken(rules, 6)).toEqual([2, 0, 2, 1, 2, 1]);
  });

  test("each counts only what it is for", () => {
    const picker = new RulePicker(place({ name: "a", every: 2 }, { name: "b", every: 2 }), 1);
    const pick = (name: string) => picker.pick((rule) => rule.name === name)?.index;
    expect(["a", "b", "b", "a"].map(pick)).toEqual([undefined, undefined, 1, 0]);
  });

  test("what one draws does not depend on the others", () => {
    const drawn = { name: "a", ratio: 0.5 };
    const alone = taken([{ name: "never", ratio: 0 }, drawn], 100);
    const beside = taken([{ name: "some", every: 3 }, drawn], 100);
    expect(beside.filter((_, index) => index % 3 !== 2)).toEqual(alone.filter((_, index) => index % 3 !== 2));
  });
});

test("a seed repeats itself, and another differs", () => {
  const rules = [
    { name: "a", ratio: 0.2 },
    { name: "b", ratio: 0.5 },
  ];
  expect(taken(rules, 200, 7)).toEqual(taken(rules, 200, 7));
  expect(taken(rules, 200, 7)).not.toEqual(taken(rules, 200, 8));
});

test("the bit is one of eight, and all of them come", () => {
  fc.assert(
    fc.property(fc.integer({ min: 0, max: 0xffff_ffff }), (seed) => {
      const picker = new RulePicker(place({ name: "a" }), seed);
      const bits = Array.from({ length: 200 }, () => picker.pick(() => true)?.bit);
      expect([...new Set(bits)].toSorted()).toEqual([0, 1, 2, 3, 4, 5, 6, 7]);
    }),
  );
});
