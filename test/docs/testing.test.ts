import * as testing from "bowline/testing";
import { expect, test } from "vitest";
import { blocksOf } from "../package/readme.ts";
import { run } from "../support/run.ts";
import { runInOrder, userProject } from "../support/user-project.ts";

const programs = blocksOf("docs/testing.md")
  .filter(({ language }) => language === "ts")
  .map(({ text }, index) => ({ file: `example-${index + 1}.ts`, text }));

const project = userProject("testing", programs);

test("the page has examples of all that bowline/testing has", () => {
  const code = programs.map(({ text }) => text).join("\n");
  const missing = Object.keys(testing).filter((name) => !code.includes(`${name}(`));
  expect(missing).toEqual([]);
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
