import { test } from "vitest";
import { checkLoadHistories } from "../support/load-histories.ts";

test("whatever callers and handlers do, shedding loses no permit, no place and no timer", async () => {
  await checkLoadHistories(500);
});
