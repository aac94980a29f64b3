import { join } from "node:path";
import { defineConfig } from "vitest/config";

/** Where CI wants a count of the tests, by tier. */
const report = process.env.BOWLINE_TEST_REPORT;
const deep = process.env.BOWLINE_DEEP === "1";
const slow = ["test/deep/**/*.test.ts", "test/interop/**/*.test.ts"];
/** Their files may share what is loaded: they replace nothing that others use, and leave nothing behind. */
const shared = ["unit", "property", "conformance", "codegen"].map((folder) => `test/${folder}/**/*.test.ts`);

const tiers = deep
  ? [{ name: "deep", include: slow }]
  : [
      { name: "shared", include: shared, isolate: false },
      { name: "wire", include: ["test/**/*.test.ts"], exclude: [...slow, ...shared] },
    ];

export default defineConfig({
  resolve: { conditions: ["bowline-source"] },
  ssr: { resolve: { conditions: ["bowline-source"] } },
  test: {
    projects: tiers.map((tier) => ({ extends: true, test: tier })),
    execArgv: ["--conditions=bowline-source"],
    // Tests start some hundred processes: what one of them has stripped of its types, the next need not.
    env: { NODE_COMPILE_CACHE: join(import.meta.dirname, "node_modules/.cache/node") },
    // Most of them wait for sockets and processes: one worker would leave a core of two idle.
    maxWorkers: 2,
    testTimeout: deep ? 300_000 : 20_000,
    reporters: report
      ? ["default", ["json", { outputFile: join(report, deep ? "deep.json" : "test.json") }]]
      : ["default"],
  },
});
