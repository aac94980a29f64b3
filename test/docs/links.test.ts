import { existsSync, readdirSync, readFileSync } from "node:fs";
import { dirname, join, normalize } from "node:path";
import { expect, test } from "vitest";

const ROOT = join(import.meta.dirname, "../..");
const pages = readdirSync(join(ROOT, "docs"), { recursive: true, encoding: "utf8" })
  .filter((path) => path.endsWith(".md"))
  .map((path) => `docs/${path}`);

/** Where a page's links lead that are no URLs, from the root on. */
function linksOf(page: string): string[] {
  const text = readFileSync(join(ROOT, page), "utf8");
  const links = [...text.matchAll(/\]\(([^)#\s]+)[^)]*\)/g)].map(([, to = ""]) => to);
  return links.filter((to) => !/^[a-z]+:/.test(to)).map((to) => normalize(join(dirname(page), to)));
}

test.each(pages)("%s links to nothing but what is in the package", (page) => {
  const packed = new Set([...pages, "README.md", "CHANGELOG.md", "LICENSE"]);
  expect(linksOf(page).filter((to) => !packed.has(to))).toEqual([]);
});

test("README.md links to nothing that is not there", () => {
  const links = linksOf("README.md");
  expect(links.length).toBeGreaterThan(5);
  expect(links.filter((to) => !existsSync(join(ROOT, to)))).toEqual([]);
});
