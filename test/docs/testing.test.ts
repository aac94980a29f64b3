import * as testing from "bowline/testing";
import { expect, test } from "vitest";
import { blocksOf } from "../package/readme.ts";

test("the page has examples of all that bowline/testing has", () => {
  const programs = blocksOf("docs/testing.md").filter(({ language }) => language === "ts");
  const code = programs.map(({ text }) => text).join("\n");
  const missing = Object.keys(testing).filter((name) => !code.includes(`${name}(`));
  expect(missing).toEqual([]);
});
