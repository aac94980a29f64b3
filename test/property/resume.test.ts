import { test } from "vitest";
import { playHistories } from "../support/resume-histories.ts";

test("what is delivered is the log after the start, in order, once, and nothing is left, whatever breaks when", {
  timeout: 120_000,
}, async () => {
  await playHistories(2_500);
});
