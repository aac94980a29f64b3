import { join } from "node:path";
import { defineConfig } from "vitest/config";
import { BaseSequencer, type TestSpecification } from "vitest/node";

/** Where CI wants a count of the tests, by tier. */
const report = process.env.BOWLINE_TEST_REPORT;
const deep = process.env.BOWLINE_DEEP === "1";
const slow = ["test/deep/**/*.test.ts", "test/interop/**/*.test.ts"];
/** What mostly needs nothing but its own process. It goes first: its failures say more. */
const near = ["unit", "property", "conformance", "codegen"].map((folder) => `test/${folder}/**/*.test.ts`);

/**
 * Files of `npm test` share what a worker has loaded: to load it anew would take longer than most of them do. None
 * leaves anything replaced or running.
 */
const tiers = deep
  ? [{ name: "deep", include: slow }]
  : [
      { name: "near", include: near, isolate: false },
      { name: "wire", include: ["test/**/*.test.ts"], exclude: [...slow, ...near], isolate: false },
    ];

/** Those of several seconds, the longest first: begun last, each would leave a core of two idle. */
const LONG = [
  ...["conformance/stream-wire", "codegen/real-contracts", "conformance/retry-wire", "property/policies"],
  ...["integration/shop", "package/consumer", "docs/snippets", "integration/broken-connections", "docs/programs"],
  ...["integration/stream-bounds", "integration/cancelled-uploads", "integration/request-streams"],
].map((name) => `/test/${name}.test.ts`);

class LongestFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const places = new Map(LONG.map((name, place) => [name, place]));
    const placeOf = ({ moduleId }: TestSpecification) =>
      places.get(moduleId.slice(import.meta.dirname.length)) ?? LONG.length;
    const sorted = await super.sort(files);
    const tierOf = ({ project }: TestSpecification) => tiers.findIndex(({ name }) => name === project.name);
    return sorted.sort((a, b) => tierOf(a) - tierOf(b) || placeOf(a) - placeOf(b));
  }
}

export default defineConfig({
  resolve: { conditions: ["bowline-source"] },
  ssr: { resolve: { conditions: ["bowline-source"] } },
  test: {
    sequence: { sequencer: LongestFirst },
    projects: tiers.map((tier) => ({ extends: true, test: tier })),
    execArgv: ["--conditions=bowline-source"],
    // Tests start some hundred processes: what one of them has stripped of its types, the next need not.
    env: { NODE_COMPILE_CACHE: join(import.meta.dirname, "node_modules/.cache/node") },
    // Most of them wait for sockets and processes: one worker would leave a core of two idle.
    maxWorkers: 2,
    setupFiles: ["test/support/fresh-warnings.ts"],
    testTimeout: deep ? 300_000 : 20_000,
    reporters: report
      ? ["default", ["json", { outputFile: join(report, deep ? "deep.json" : "test.json") }]]
      : ["default"],
  },
});
