import { test } from "vitest";
import { playHedges } from "../support/world-histories.ts";

test("whatever happens when, a call that is hedged settles once, keeps to its attempts, and leaves nothing behind", {
  timeout: 120_000,
}, async () => {
  await playHedges(2_500);
});
