import { readFileSync } from "node:fs";
import { stripTypeScriptTypes } from "node:module";
import { join } from "node:path";
import { expect, test } from "vitest";
import { ROOT } from "../support/run.ts";

const PAGE = "docs/broadcast.md";
const read = (path: string) => readFileSync(join(ROOT, path), "utf8");

/** The names of an interface's options. */
function optionsOf(path: string, name: string): string[] {
  const body = new RegExp(`export interface ${name}\\b[^{]*\\{(.*?)\\n\\}`, "s").exec(read(path))?.[1] ?? "";
  return [...body.matchAll(/^ {2}readonly (\w+)/gm)].map(([, option = ""]) => option);
}

test.each([
  ["`createBroadcast(options)`:", "src/stream/broadcast/broadcast-options.ts", "BroadcastOptions"],
  ["`subscribe(options)`:", "src/stream/broadcast/subscription.ts", "SubscribeOptions"],
])("every option has a row under %s, and every row its option", (title, path, name) => {
  const [, after = ""] = read(PAGE).split(`${title}\n\n`);
  const [table = ""] = after.split("\n\n");
  const rows = [...table.matchAll(/^\| `(\w+)` \|/gm)].map(([, option = ""]) => option);
  expect(rows.length).toBeGreaterThan(0);
  expect(rows.toSorted()).toEqual(optionsOf(path, name).toSorted());
});

test("the example reads pages that are bounded in bytes too, and leaves the rest unread", () => {
  const [code = ""] = /^function toPage.*?\n\}$/ms.exec(read(PAGE)) ?? [];
  const decoding = { decode: (event: Uint8Array) => event };
  const toPage = new Function("OrderEvent", `${stripTypeScriptTypes(code)}; return toPage;`)(decoding);
  let rows = 0;
  function* ofSize(bytes: number) {
    for (; rows < 100; rows += 1) yield { event: new Uint8Array(bytes) };
  }
  expect([toPage(ofSize(100_000)).length, rows]).toEqual([3, 2]);
  rows = 0;
  expect([toPage(ofSize(100)).length, rows]).toEqual([100, 100]);
});
