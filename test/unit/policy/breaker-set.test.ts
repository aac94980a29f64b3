import { describe, expect, test } from "vitest";
import { resolveBreaker } from "../../../src/contract/resolve.ts";
import { Breaker } from "../../../src/policy/breaker.ts";
import { BreakerSet } from "../../../src/policy/breaker-set.ts";
import { fakeClock } from "../../../src/testing/index.ts";
import { aBreaker, fail, MIDDLE } from "../../support/machines.ts";

const GET = "/shop.Orders/Get";
const LIST = "/shop.Orders/List";

/** A set that has the breakers of these names. */
function aSet(...names: string[]) {
  const set = new BreakerSet();
  const of = (name: string) => set.of(name, () => aBreaker().breaker);
  for (const name of names) of(name);
  const states = () => Object.entries(set.snapshot()).map(([name, { state }]) => [name, state]);
  return { set, of, states };
}

describe("of", () => {
  test("makes a breaker once", () => {
    const { of } = aSet();
    expect(of(GET)).toBe(of(GET));
    expect(of(GET)).not.toBe(of(LIST));
  });

  test.each(["__proto__", "constructor", ""])("takes any name: %j", (name) => {
    const { of, set } = aSet(name);
    fail(of(name));
    expect(Object.keys(set.snapshot())).toEqual([name]);
    expect(Object.values(set.snapshot())[0]?.failures).toBe(1);
  });
});

test("a snapshot has each by name, and of none nothing", () => {
  expect(aSet().set.snapshot()).toEqual({});
  const { set, of } = aSet(GET, LIST);
  fail(of(LIST));
  expect(set.snapshot()).toMatchObject({ [GET]: { failures: 0 }, [LIST]: { failures: 1 } });
});

describe.each([
  ["forceOpen", "forced-open"],
  ["forceClosed", "forced-closed"],
  ["disable", "disabled"],
] as const)("%s", (force, state) => {
  test("with a name is for that one alone", () => {
    const { set, of, states } = aSet(GET, LIST);
    set[force](LIST);
    of("later");
    expect(states()).toEqual([
      [GET, "closed"],
      [LIST, state],
      ["later", "closed"],
    ]);
  });

  test("without a name is for all, and those that are still to come", () => {
    const { set, of, states } = aSet(GET);
    set[force]();
    of(LIST);
    expect(states()).toEqual([
      [GET, state],
      [LIST, state],
    ]);
  });

  test("ends with reset, for those that are still to come too", () => {
    const { set, of, states } = aSet(GET);
    set[force]();
    set.reset();
    of(LIST);
    expect(states()).toEqual([
      [GET, "closed"],
      [LIST, "closed"],
    ]);
  });

  test("holds for those to come though one was reset", () => {
    const { set, of, states } = aSet(GET, LIST);
    set[force]();
    set.reset(GET);
    of("later");
    expect(states()).toEqual([
      [GET, "closed"],
      [LIST, state],
      ["later", state],
    ]);
  });

  test("holds before the first is made", () => {
    const { set, of, states } = aSet();
    set[force]();
    of(GET);
    expect(states()).toEqual([[GET, state]]);
  });

  test("with a name that none has is refused", () => {
    const text = `there is no breaker "${LIST}"; there are ${GET}`;
    expect(() => aSet(GET).set[force](LIST)).toThrow(new TypeError(text));
    expect(() => aSet().set[force](LIST)).toThrow(/; there are none yet$/);
  });
});

test("the last of several forced states holds", () => {
  const { set, of, states } = aSet(GET);
  set.forceOpen();
  set.disable();
  set.forceClosed();
  of(LIST);
  expect(states().map(([, state]) => state)).toEqual(["forced-closed", "forced-closed"]);
});

describe("reset", () => {
  test("with a name forgets what that one counted", () => {
    const { set, of } = aSet(GET, LIST);
    fail(of(GET));
    fail(of(LIST));
    set.reset(LIST);
    expect(set.snapshot()).toMatchObject({ [GET]: { calls: 1 }, [LIST]: { calls: 0 } });
  });

  test("with a name that none has is refused", () => {
    expect(() => aSet(GET).set.reset(LIST)).toThrow(TypeError);
  });
});

test("who is told that a new one was forced finds it in the set", () => {
  const { set } = aSet();
  const seen: string[] = [];
  const look = () => seen.push(...Object.values(set.snapshot()).map(({ state }) => state));
  set.forceOpen();
  set.of(GET, () => new Breaker(resolveBreaker(), fakeClock(), MIDDLE, look));
  expect(seen).toEqual(["forced-open"]);
});
