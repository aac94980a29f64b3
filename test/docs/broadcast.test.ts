import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { blocksOf } from "../package/readme.ts";
import { ROOT, run } from "../support/run.ts";
import { userProject } from "../support/user-project.ts";

const PAGE = "docs/broadcast.md";
const read = (path: string) => readFileSync(join(ROOT, path), "utf8");

/** The service's other methods, which the page leaves to its reader. */
const OTHERS = `import type { OrderServiceHandlers } from "./gen/shop/orders/v1/orders.contract.ts";

export const handlers = {} as Omit<OrderServiceHandlers, "watchOrders">;
for (const name of ["createOrder", "getOrder", "listOrders", "importOrders", "quoteBaskets"])
  Object.assign(handlers, { [name]: () => {} });
`;

const files = blocksOf(PAGE).flatMap(({ file, text }) => (file ? [{ file, text }] : []));
const project = userProject("broadcast", [{ file: "handlers.ts", text: OTHERS }, ...files]);

test("the page's program type-checks, and prints what the page says", () => {
  expect(run("tsc", [], { cwd: project })).toEqual({ status: 0, stdout: "", stderr: "" });
  const said = /console\.log\(.*\); \/\/ (.*)$/m.exec(read(PAGE))?.[1];
  const { status, stdout } = run("node", ["--conditions=bowline-source", "broadcast.ts"], { cwd: project });
  expect({ status, stdout }).toEqual({ status: 0, stdout: `${said}\n` });
});

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
