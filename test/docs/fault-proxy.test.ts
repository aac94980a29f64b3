import { readFileSync } from "node:fs";
import { expect, test } from "vitest";

const read = (path: string) => readFileSync(new URL(`../../${path}`, import.meta.url), "utf8");

/** The faults that a type has, each once. */
function faultsOf(type: string): string[] {
  const [, body = ""] = new RegExp(`export type ${type} =(.*?)\\nexport `, "s").exec(
    read("src/testing/fault-proxy/rules.ts"),
  ) ?? [undefined];
  return [...new Set([...body.matchAll(/readonly fault: "([\w-]+)"/g)].map(([, fault = ""]) => fault))];
}

test.each([
  ["connection", "ConnectionFault", 6],
  ["call", "CallFault", 7],
])("every fault of a %s has a row, and every row its fault", (on, type, count) => {
  const rows = [...read("docs/testing.md").matchAll(new RegExp(`^\\| ${on} \\| \`([\\w-]+)\` \\|`, "gm"))];
  const faults = faultsOf(type);
  expect(faults.length).toBe(count);
  expect(rows.map(([, fault]) => fault).toSorted()).toEqual(faults.toSorted());
});
