import { readFileSync } from "node:fs";
import { type ReasonRow, reasons, Status } from "bowline";
import { expect, test } from "vitest";

const statusNames = Object.keys(Status);

/** Rows whose code is whatever the server said. */
const SAID_BY_SERVER = ["STATUS", "REFUSED"];

function tableRow([reason, row]: [string, ReasonRow]): string {
  const code = SAID_BY_SERVER.includes(reason) ? "the server's" : statusNames[row.code];
  return `| \`${reason}\` | ${code} | ${row.origin} | ${row.meaning} | ${row.remedy} |`;
}

test("the README's table of reasons is the one in the code", () => {
  const readme = readFileSync(new URL("../../README.md", import.meta.url), "utf8");
  const table = /<!-- reasons -->\n(.*?)<!-- \/reasons -->/s.exec(readme)?.[1] ?? "";
  const rows = Object.entries<ReasonRow>(reasons).filter(([, row]) => !row.reserved);
  expect(table.trim().split("\n").slice(2)).toEqual(rows.map(tableRow));
});
