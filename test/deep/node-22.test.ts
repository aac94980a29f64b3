import { cpSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { mustRun, ROOT, run } from "../support/run.ts";

const { engines } = createRequire(import.meta.url)("../../package.json");
const oldest = `${engines.node.replace(">=", "")}.0`;

test(`serves and calls under Node ${oldest}, the oldest that the package promises`, () => {
  const project = mkdtempSync(join(tmpdir(), "bowline-oldest-"));
  onTestFinished(() => rmSync(project, { recursive: true, force: true }));
  const packed = JSON.parse(mustRun("npm", ["pack", "--json", "--pack-destination", project]).stdout);
  // npm's package of Node puts the program in its place with an install script.
  const manifest = { private: true, type: "module", allowScripts: { node: true } };
  writeFileSync(join(project, "package.json"), JSON.stringify(manifest));
  const packages = [`node@${oldest}`, `./${packed[0].filename}`];
  const installed = run("npm", ["install", "--no-audit", "--no-fund", ...packages], { cwd: project });
  const why = `npm could not install ${packages.join(" ")}; is a registry reachable?\n${installed.stderr}`;
  expect(installed.status, why).toBe(0);
  for (const path of ["gen/shop/orders", "gen/google/protobuf", "test/deep/every-kind.ts"]) {
    mkdirSync(join(project, path, ".."), { recursive: true });
    cpSync(join(ROOT, path), join(project, path), { recursive: true });
  }
  const node = join(project, "node_modules/node/bin/node");
  // The types that the contract is written in are taken off by Node itself; that it says so is no failure.
  const { status, stdout, stderr } = run(node, ["--no-warnings", "test/deep/every-kind.ts"], { cwd: project });
  expect({ status, stderr }).toEqual({ status: 0, stderr: "" });
  expect(JSON.parse(stdout)).toEqual({
    node: `v${oldest}`,
    unary: "o-1",
    listed: ["o-1", "o-2"],
    imported: 2,
    quoted: 2,
    refused: "STATUS",
    late: "DEADLINE_EXCEEDED",
    ended: "DRAINING",
    finished: "slow",
    abandoned: 0,
  });
});
