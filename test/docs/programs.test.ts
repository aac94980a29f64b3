import { expect, test } from "vitest";
import { blocksOf } from "../package/readme.ts";
import { run } from "../support/run.ts";
import { runInOrder, userProject } from "../support/user-project.ts";

/** The service's other methods, which docs/broadcast.md leaves to its reader. */
const OTHERS = `import type { OrderServiceHandlers } from "./gen/shop/orders/v1/orders.contract.ts";

export const handlers = {} as Omit<OrderServiceHandlers, "watchOrders">;
for (const name of ["createOrder", "getOrder", "listOrders", "importOrders", "quoteBaskets"])
  Object.assign(handlers, { [name]: () => {} });
`;

/** Examples of a page that are programs as they stand. */
function programsOf(page: string) {
  const examples = blocksOf(`docs/${page}.md`).filter(({ language }) => language === "ts");
  return examples.map(({ text }, n) => ({ page, file: `${page}-${n + 1}.ts`, text }));
}

const programs = ["testing", "streams"].flatMap(programsOf);
const broadcast = blocksOf("docs/broadcast.md").flatMap(({ file, text }) => (file ? [{ file, text }] : []));
const project = userProject("programs", [...programs, { file: "handlers.ts", text: OTHERS }, ...broadcast]);

test("the pages' programs type-check", () => {
  expect(run("tsc", [], { cwd: project })).toEqual({ status: 0, stdout: "", stderr: "" });
});

test.each(["testing", "streams"])("the programs of docs/%s.md run", (page) => {
  const files = programs.filter((program) => program.page === page).map(({ file }) => file);
  expect(files).not.toEqual([]);
  const { status, stdout, stderr } = runInOrder(project, files);
  expect({ status, stderr, output: status === 0 ? "" : stdout }).toEqual({ status: 0, stderr: "", output: "" });
});

test("the program of docs/broadcast.md prints what the page says", () => {
  const [{ text = "" } = {}] = broadcast.filter(({ file }) => file === "broadcast.ts");
  const said = /console\.log\(.*\); \/\/ (.*)$/m.exec(text)?.[1];
  const { status, stdout } = run("node", ["--conditions=bowline-source", "broadcast.ts"], { cwd: project });
  expect({ status, stdout }).toEqual({ status: 0, stdout: `${said}\n` });
});
