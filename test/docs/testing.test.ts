import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import * as testing from "bowline/testing";
import { afterAll, expect, test } from "vitest";
import { blocksOf } from "../package/readme.ts";
import { ROOT, run } from "../support/run.ts";

const { compilerOptions } = createRequire(import.meta.url)("../../tsconfig.json");
const programs = blocksOf("docs/testing.md")
  .filter(({ language }) => language === "ts")
  .map(({ text }, index) => ({ file: `example-${index + 1}.ts`, text }));

/** A user's project: the package and what generated code needs installed, and the shop's contracts generated. */
const project = mkdtempSync(join(tmpdir(), "bowline-testing-"));
afterAll(() => rmSync(project, { recursive: true, force: true }));
mkdirSync(join(project, "node_modules"));
symlinkSync(ROOT, join(project, "node_modules/bowline"));
for (const scope of ["@types", "@bufbuild"]) {
  symlinkSync(join(ROOT, "node_modules", scope), join(project, "node_modules", scope));
}
symlinkSync(join(ROOT, "gen"), join(project, "gen"));
writeFileSync(join(project, "package.json"), '{ "type": "module" }');
writeFileSync(join(project, "tsconfig.json"), JSON.stringify({ compilerOptions, include: ["*.ts"] }));
for (const { file, text } of programs) writeFileSync(join(project, file), text);

test("the page has examples of all that bowline/testing has", () => {
  const code = programs.map(({ text }) => text).join("\n");
  const missing = Object.keys(testing).filter((name) => !code.includes(`${name}(`));
  expect(missing).toEqual([]);
});

test("the page's examples type-check", () => {
  expect(run("tsc", [], { cwd: project })).toEqual({ status: 0, stdout: "", stderr: "" });
});

test.each(programs)("$file of the page runs", ({ file }) => {
  const { status, stdout, stderr } = run("node", ["--conditions=bowline-source", file], { cwd: project });
  expect({ status, stderr, output: status === 0 ? "" : stdout }).toEqual({ status: 0, stderr: "", output: "" });
});
