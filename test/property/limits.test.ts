import { test } from "vitest";
import { checkBuckets, checkShedder } from "../support/limit-histories.ts";

const HISTORIES = 1_500;

test("buckets grant exactly what counted tokens do, and say the instant at which there is one", () => {
  checkBuckets(HISTORIES);
});

test("a shedder loses no permit and no place, keeps its bounds, lets in whose turn it is, and refuses what matters least first", () => {
  checkShedder(HISTORIES);
});
