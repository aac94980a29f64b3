import { test } from "vitest";
import { playHistories } from "../support/resume-histories.ts";

test("30,000 histories: what is delivered is the log after the start, in order, once, and nothing is left, whatever breaks when", async () => {
  await playHistories(30_000);
});
