import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { mustRun } from "../support/run.ts";

const here = import.meta.dirname;

function filesBelow(folder: string): Map<string, string> {
  const entries = readdirSync(folder, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile());
  const paths = entries.map((entry) => join(entry.parentPath, entry.name).slice(folder.length + 1));
  return new Map(paths.toSorted().map((path) => [path, readFileSync(join(folder, path), "utf8")]));
}

test("gen/ is what buf generate prints: npx buf generate, in test/interop", () => {
  const printed = mkdtempSync(join(tmpdir(), "bowline-interop-gen-"));
  onTestFinished(() => rmSync(printed, { recursive: true, force: true }));
  mustRun("buf", ["generate", "-o", printed], { cwd: here });
  expect(filesBelow(join(printed, "gen"))).toEqual(filesBelow(join(here, "gen")));
});
