import { expect, test } from "vitest";
import { CASES, DIRECTIONS, TRANSPORTS } from "./cases.ts";
import { KNOWN } from "./known-failures.ts";

test("known-failures.json names what there is, each case once, direction and transport by direction and transport", () => {
  const named = KNOWN.cases.flatMap(({ case: name, direction, transports }) =>
    transports.map((transport) => `${name}, ${direction}, ${transport}`),
  );
  const all = CASES.flatMap((name) =>
    DIRECTIONS.flatMap((direction) => TRANSPORTS.map((transport) => `${name}, ${direction}, ${transport}`)),
  );
  expect(named.filter((one) => !all.includes(one))).toEqual([]);
  expect(named).toEqual([...new Set(named)]);
  expect(KNOWN.cases.filter(({ reason }) => reason.trim() === "")).toEqual([]);
});
