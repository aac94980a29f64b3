import { readFileSync } from "node:fs";
import { join } from "node:path";
import * as stream from "bowline/stream";
import { expect, test } from "vitest";
import { blocksOf } from "../package/readme.ts";
import { ROOT } from "../support/run.ts";

const PAGE = "docs/streams.md";
const page = readFileSync(join(ROOT, PAGE), "utf8");
const programs = blocksOf(PAGE).filter(({ language, file }) => language === "ts" && !file);

test("the page has a row for each operator, and an example", () => {
  const code = programs.map(({ text }) => text).join("\n");
  const missing = Object.keys(stream).filter(
    (name) => !page.includes(`| \`${name}(`) || !new RegExp(`\\b${name}(<.*?>)?\\(`).test(code),
  );
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
