import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { mustRun, ROOT } from "../support/run.ts";

function filesBelow(folder: string): Map<string, string> {
  const entries = readdirSync(folder, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile());
  const paths = entries.map((entry) => join(entry.parentPath, entry.name).slice(folder.length + 1));
  return new Map(paths.toSorted().map((path) => [path, readFileSync(join(folder, path), "utf8")]));
}

test.each(["test/interop", "test/fixtures/positions"])(
  "its gen/ is what buf generate prints: npx buf generate, in %s",
  (folder) => {
    const printed = mkdtempSync(join(tmpdir(), "bowline-gen-"));
    onTestFinished(() => rmSync(printed, { recursive: true, force: true }));
    mustRun("buf", ["generate", "-o", printed], { cwd: join(ROOT, folder) });
    expect(filesBelow(join(printed, "gen"))).toEqual(filesBelow(join(ROOT, folder, "gen")));
  },
);
