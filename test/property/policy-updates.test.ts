import fc from "fast-check";
import { expect, test } from "vitest";
import { RetryThrottling } from "../../src/policy/retry-throttling.ts";
import { historyOf, same, within } from "../support/histories.ts";
import { UpdatedWorld, updatedStep } from "../support/updated-world.ts";

test("calls and streams whose policies change leave no permit, place, timer, token or listener behind", async () => {
  // 10,000 of them in the deep tier.
  await fc.assert(
    fc.asyncProperty(historyOf(updatedStep, 30), async (history) => {
      const world = new UpdatedWorld();
      for (const step of history) await world.take(step);
      await world.end();
    }),
    { numRuns: 100 },
  );
});

test("a throttle that is adjusted is as full as it was, and follows a sum of shares", () => {
  const step = fc.oneof(
    { weight: 4, arbitrary: fc.constantFrom("success" as const, "failure" as const) },
    {
      weight: 1,
      arbitrary: fc.record({ maxTokens: fc.integer({ min: 1, max: 1_000 }), tokenRatio: fc.constantFrom(0.1, 1, 2.5) }),
    },
  );
  fc.assert(
    fc.property(historyOf(step, 60), (history) => {
      let options = { maxTokens: 10, tokenRatio: 0.1 };
      const throttling = new RetryThrottling(options);
      let [share, rounded] = [1, 0];
      for (const step of history) {
        if (step === "success") share = Math.min(1, share + options.tokenRatio / options.maxTokens);
        else if (step === "failure") share = Math.max(0, share - 1 / options.maxTokens);
        else options = step;
        if (typeof step === "string") throttling[step]();
        else {
          throttling.adjust(step);
          // To the thousandth of a token.
          rounded += 0.0005 / step.maxTokens;
        }
        const { tokens, maxTokens, open } = throttling.snapshot();
        same("most", maxTokens, options.maxTokens);
        within("share", tokens / maxTokens, share - rounded - 1e-9, share + rounded + 1e-9);
        same("open", open, tokens > maxTokens / 2);
      }
      expect(throttling.snapshot().tokens).toBeGreaterThanOrEqual(0);
    }),
    { numRuns: 3_000 },
  );
});
