import { expect, onTestFinished, test, vi } from "vitest";
import { warnOfAbandoned } from "../../../src/server/abandoned-calls.ts";

function warnings(): string[] {
  const told: string[] = [];
  const spy = vi.spyOn(process, "emitWarning").mockImplementation((warning) => void told.push(String(warning)));
  onTestFinished(() => spy.mockRestore());
  return told;
}

test("says of how many calls of each method, in one line, most first", () => {
  const told = warnings();
  warnOfAbandoned(["/a.S/One", "/a.S/Two", "/a.S/Two"], 3_000);
  expect(told).toEqual([
    "bowline: the drain gave up on 3 calls whose handlers had not ended after 3000 ms: /a.S/Two (2), /a.S/One (1)",
  ]);
});

test("says it of one call", () => {
  const told = warnings();
  warnOfAbandoned(["/a.S/One"], 1);
  expect(told).toEqual(["bowline: the drain gave up on 1 call whose handler had not ended after 1 ms: /a.S/One (1)"]);
});

test("says nothing of none", () => {
  const told = warnings();
  warnOfAbandoned([], 3_000);
  expect(told).toEqual([]);
});

test("names ten methods at most", () => {
  const told = warnings();
  warnOfAbandoned(
    [..."abcdefghijkl", "l"].map((name) => `/a.S/${name}`),
    1,
  );
  expect(told[0]).toMatch(/: \/a\.S\/l \(2\), \/a\.S\/a \(1\), .*\/a\.S\/i \(1\), and of 2 further methods$/);
});
