import { readFileSync } from "node:fs";
import { type ReasonRow, reasons, Status } from "bowline";
import { expect, test } from "vitest";

const statusNames = Object.keys(Status);

/** Rows whose code is whatever the server said. */
const SAID_BY_SERVER = ["STATUS", "REFUSED"];

/** Rows whose code is that of the failure that was not retried. */
const KEPT = ["RETRY_THROTTLED", "RETRY_BUDGET_EXHAUSTED", "DEADLINE_BEFORE_RETRY"];

function codeOf(reason: string, { code }: ReasonRow): string | undefined {
  if (SAID_BY_SERVER.includes(reason)) return "the server's";
  return KEPT.includes(reason) ? "the failure's" : statusNames[code];
}

function tableRow([reason, row]: [string, ReasonRow]): string {
  const code = codeOf(reason, row);
  return `| \`${reason}\` | ${code} | ${row.origin} | ${row.meaning} | ${row.remedy} |`;
}

test("the README's table of reasons is the one in the code", () => {
  const readme = readFileSync(new URL("../../README.md", import.meta.url), "utf8");
  const table = /<!-- reasons -->\n(.*?)<!-- \/reasons -->/s.exec(readme)?.[1] ?? "";
  const rows = Object.entries<ReasonRow>(reasons);
  expect(table.trim().split("\n").slice(2)).toEqual(rows.map(tableRow));
});
