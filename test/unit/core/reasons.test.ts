import { expect, test } from "vitest";
import { type ReasonRow, reasons } from "../../../src/core/reasons.ts";
import { Status } from "../../../src/core/status.ts";

const rows: [string, ReasonRow][] = Object.entries(reasons);

test.each(rows)("%s is named as a constant, has a failure's code and says what it means", (name, row) => {
  expect(name).toMatch(/^[A-Z][A-Z_]*[A-Z]$/);
  expect(Object.values(Status)).toContain(row.code);
  expect(row.code).not.toBe(Status.OK);
  expect(row.meaning).toMatch(/^[A-Z].*\.$/);
});

test.each(rows)("%s says what to do", (_, row) => {
  expect(row.remedy).toMatch(/[.?]$/);
});

test("two reasons never mean the same", () => {
  expect(new Set(rows.map(([, row]) => row.meaning)).size).toBe(rows.length);
});
