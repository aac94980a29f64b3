import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { resolveCheck } from "../../src/server/health/check-options.ts";
import { DEFAULT_MAX_CONCURRENT_CHECKS } from "../../src/server/health/check-runner.ts";

const page = readFileSync(new URL("../../docs/health.md", import.meta.url), "utf8");

/** What the page's table says of each option: its name and its default. */
const rows = Object.fromEntries(
  [...page.matchAll(/^\| `(\w+)` \|[^|]*\| ([^|]*) \|/gm)].map(([, name = "", said = ""]) => [name, said]),
);

test("the page has every option of a check, with its default", () => {
  const { depth, timeoutMs, intervalMs, failureThreshold } = resolveCheck("a", () => {}, {}, { taken: [] });
  expect(rows).toEqual({
    depth: `\`${JSON.stringify(depth)}\``,
    services: "all",
    timeoutMs: timeoutMs.toLocaleString("en"),
    intervalMs: intervalMs.toLocaleString("en"),
    failureThreshold: String(failureThreshold),
  });
  expect(page).toContain("Of the deep checks four run at a time");
  expect(DEFAULT_MAX_CONCURRENT_CHECKS).toBe(4);
});
