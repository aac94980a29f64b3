import { defineConfig } from "vitest/config";

export default defineConfig({
  resolve: { conditions: ["bowline-source"] },
  ssr: { resolve: { conditions: ["bowline-source"] } },
  test: {
    include: ["test/**/*.test.ts"],
    exclude: ["test/deep/**"],
    execArgv: ["--conditions=bowline-source"],
    testTimeout: 20_000,
  },
});
