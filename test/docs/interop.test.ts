import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { interopTables } from "../interop/page.ts";
import { ROOT } from "../support/run.ts";

const PAGE = join(ROOT, "docs/interop.md");

// npx vitest run test/docs/interop.test.ts --update writes the page anew.
test("docs/interop.md has the cases and exceptions that the interoperability tests go by", async () => {
  let page = readFileSync(PAGE, "utf8");
  for (const [name, text] of Object.entries(interopTables())) {
    const marked = new RegExp(`(<!-- ${name} -->)(.*?)(<!-- /${name} -->)`, "s");
    expect(page).toMatch(marked);
    const space = text.includes("\n") ? "\n" : "";
    page = page.replace(marked, (_, begin: string, __, end: string) => `${begin}${space}${text}${space}${end}`);
  }
  await expect(page).toMatchFileSnapshot(PAGE);
});
