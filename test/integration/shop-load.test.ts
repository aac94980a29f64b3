import { describe, expect, test } from "vitest";
import * as overRate from "../../examples/shop/tour/over-rate.ts";
import type { Check } from "../../examples/shop/tour/row.ts";
import * as shedding from "../../examples/shop/tour/shedding.ts";
import * as strangers from "../../examples/shop/tour/strangers.ts";

/** The checks that do not hold, by what they are about. */
const wrong = (checks: readonly Check[]) => checks.filter(({ holds }) => !holds).map(({ what }) => what);

describe("a caller over its rate", () => {
  const seen: overRate.Seen = {
    eagerOk: 6,
    eagerRefused: 34,
    modestOk: 5,
    patientOk: 7,
    patientWaits: 3,
    started: 18,
  };

  test("passes what it should see", () => expect(wrong(overRate.judge(seen))).toEqual([]));

  test.each<[string, Partial<overRate.Seen>, string[]]>([
    [
      "nobody is limited",
      { eagerOk: 40, eagerRefused: 0, started: 52 },
      ["calls of the eager caller that were answered"],
    ],
    ["a call fails otherwise", { eagerRefused: 33 }, ["its other calls, refused because of its rate"]],
    [
      "one caller's rate is another's",
      { modestOk: 4, started: 17 },
      ["calls of one within its rate that were answered"],
    ],
    [
      "who waits is not served",
      { patientOk: 6, started: 17 },
      ["calls of one that comes again when it is told, answered"],
    ],
    ["nobody is told when", { patientWaits: 0 }, ["how often it was told"]],
    ["a refused call reaches the handler", { started: 19 }, ["calls that came to the handler"]],
  ])("fails when %s", (_, change, what) => expect(wrong(overRate.judge({ ...seen, ...change }))).toEqual(what));
});

describe("3 times the load, shed by what matters", () => {
  const critical = { calls: 160, ok: 160, shed: 0 };
  const sheddable = { calls: 800, ok: 180, shed: 620 };
  const seen: shedding.Seen = { critical, sheddable, started: 340, mostAtOnce: 8, attempts: 960 };

  test("passes what it should see", () => expect(wrong(shedding.judge(seen))).toEqual([]));

  test.each<[string, Partial<shedding.Seen>, string[]]>([
    [
      "most calls are critical",
      { critical: { ...critical, calls: 300, ok: 300 }, started: 480, attempts: 1_100 },
      ["the share of critical calls"],
    ],
    [
      "critical calls are refused",
      { critical: { ...critical, ok: 158, shed: 2 }, started: 338 },
      ["critical calls that were answered, of a hundred"],
    ],
    [
      "nothing is shed",
      { sheddable: { calls: 800, ok: 800, shed: 0 }, started: 960 },
      ["sheddable calls that were refused"],
    ],
    [
      "a call fails otherwise",
      { sheddable: { ...sheddable, shed: 619 } },
      ["sheddable calls that were answered or refused"],
    ],
    ["calls are repeated", { attempts: 961 }, ["attempts, one for each call"]],
    ["a refused call reaches the handler", { started: 341 }, ["calls that came to the handler"]],
    ["the handler has too many", { mostAtOnce: 9 }, ["of them at a time"]],
  ])("fails when %s", (_, change, what) => expect(wrong(shedding.judge({ ...seen, ...change }))).toEqual(what));
});

describe("callers without a token", () => {
  const seen: strangers.Seen = {
    ...{ withoutToken: 20, withForged: 20, ofUnknownMethod: 20, texts: ["the caller is not authenticated"] },
    ...{ read: 20, denied: 20, served: 20, placed: 0 },
  };

  test("passes what it should see", () => expect(wrong(strangers.judge(seen))).toEqual([]));

  test.each<[string, Partial<strangers.Seen>, string[]]>([
    ["one is let in", { withoutToken: 19 }, ["calls without a token that ended with UNAUTHENTICATED"]],
    ["a forger is let in", { withForged: 19 }, ["calls with a forged token that ended with UNAUTHENTICATED"]],
    [
      "methods can be told apart",
      { ofUnknownMethod: 0, texts: ["the caller is not authenticated", "no such method"] },
      ["calls of no method that ended with UNAUTHENTICATED", "texts that these were told"],
    ],
    ["a reader is refused", { read: 19 }, ["calls of one who may read that were answered"]],
    ["a reader writes", { denied: 19 }, ["its calls to write that ended with PERMISSION_DENIED"]],
    ["a handler runs for nobody", { served: 21 }, ["orders that a handler has read"]],
    ["a handler runs for one who may not", { placed: 1 }, ["orders that a handler has placed"]],
  ])("fails when %s", (_, change, what) => expect(wrong(strangers.judge({ ...seen, ...change }))).toEqual(what));
});
