import { test } from "vitest";
import { playRetries } from "../support/world-histories.ts";

test("whatever happens when, a call settles once, keeps to its attempts, and leaves nothing behind", {
  timeout: 120_000,
}, async () => {
  await playRetries(2_500);
});
