import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll } from "vitest";
import { type Outcome, ROOT, run } from "./run.ts";

const { compilerOptions } = createRequire(import.meta.url)("../../tsconfig.json");

/**
 * A user's project in a folder of its own until the tests are over: the package and what generated code needs
 * installed, the shop's contracts generated, and these files.
 */
export function userProject(name: string, files: readonly { readonly file: string; readonly text: string }[]): string {
  const project = mkdtempSync(join(tmpdir(), `bowline-${name}-`));
  afterAll(() => rmSync(project, { recursive: true, force: true }));
  mkdirSync(join(project, "node_modules"));
  symlinkSync(ROOT, join(project, "node_modules/bowline"));
  for (const scope of ["@types", "@bufbuild", "nice-grpc"]) {
    symlinkSync(join(ROOT, "node_modules", scope), join(project, "node_modules", scope));
  }
  symlinkSync(join(ROOT, "gen"), join(project, "gen"));
  writeFileSync(join(project, "package.json"), '{ "type": "module" }');
  writeFileSync(join(project, "tsconfig.json"), JSON.stringify({ compilerOptions, include: ["*.ts"] }));
  for (const { file, text } of files) writeFileSync(join(project, file), text);
  return project;
}

/**
 * Runs programs of a project one after the other in one process, which ends by itself: what each of them imports is
 * loaded once. One that throws is named in `stderr`, and those after it do not run.
 */
export function runInOrder(project: string, files: readonly string[]): Outcome {
  const all = files.map((file) => `await import("./${file}");`).join("\n");
  return run("node", ["--conditions=bowline-source", "--input-type=module", "--eval", all], { cwd: project });
}
