import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { ROOT, run } from "../support/run.ts";

/** Generates with an exclusion of a package that no file imports; gives what buf says. */
function generateWithout(excluded: string): string {
  const folder = mkdtempSync(join(tmpdir(), "bowline-"));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  mkdirSync(join(folder, "proto/acme/v1"), { recursive: true });
  writeFileSync(join(folder, "proto/acme/v1/acme.proto"), 'syntax = "proto3"; package acme.v1; message Acme {}');
  writeFileSync(join(folder, "buf.yaml"), "version: v2\nmodules: [{ path: proto }]\n");
  const plugin = `{ local: protoc-gen-ts_proto, out: gen, exclude_types: [${excluded}] }`;
  writeFileSync(join(folder, "buf.gen.yaml"), `version: v2\ninputs: [{ directory: proto }]\nplugins: [${plugin}]\n`);
  return run("buf", ["generate"], { cwd: folder }).stderr.trim();
}

test.each([
  ["README.md", "bowline.v1"],
  ["docs/validation.md", "buf.validate"],
])("%s names the error of an exclusion that nothing imports, as buf words it", (page, excluded) => {
  const [, said = ""] = /^Failure: (.+)$/.exec(generateWithout(excluded)) ?? [];
  expect(said).toContain(excluded);
  expect(readFileSync(join(ROOT, page), "utf8")).toContain(said);
});
