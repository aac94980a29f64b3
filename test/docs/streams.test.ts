import { readFileSync } from "node:fs";
import { join } from "node:path";
import * as stream from "bowline/stream";
import { expect, test } from "vitest";
import { blocksOf } from "../package/readme.ts";
import { ROOT, run } from "../support/run.ts";
import { runInOrder, userProject } from "../support/user-project.ts";

const PAGE = "docs/streams.md";
const page = readFileSync(join(ROOT, PAGE), "utf8");
const programs = blocksOf(PAGE)
  .filter(({ language, file }) => language === "ts" && !file)
  .map(({ text }, index) => ({ file: `example-${index + 1}.ts`, text }));
const project = userProject("streams", programs);

test("the page has a row for each operator, and an example", () => {
  const code = programs.map(({ text }) => text).join("\n");
  const missing = Object.keys(stream).filter((name) => !page.includes(`| \`${name}(`) || !code.includes(`${name}(`));
  expect(missing).toEqual([]);
});

test("every option of buffer has a row, and every row its option", () => {
  const [, after = ""] = page.split("## A bounded buffer");
  const [table = ""] = after.split("| overflow |");
  const rows = [...table.matchAll(/^\| `(\w+)` \|/gm)].map(([, option = ""]) => option);
  const source = readFileSync(join(ROOT, "src/stream/buffer-options.ts"), "utf8");
  const own = [...source.matchAll(/^ {2}readonly (\w+)\?/gm)].map(([, option = ""]) => option);
  expect(rows.toSorted()).toEqual([...own, "signal", "clock"].toSorted());
});

test("the page's examples type-check", () => {
  expect(run("tsc", [], { cwd: project })).toEqual({ status: 0, stdout: "", stderr: "" });
});

test("the page's examples run", () => {
  const { status, stdout, stderr } = runInOrder(
    project,
    programs.map(({ file }) => file),
  );
  expect({ status, stderr, output: status === 0 ? "" : stdout }).toEqual({ status: 0, stderr: "", output: "" });
});
