import { test } from "vitest";
import { playBroadcasts } from "../support/world-histories.ts";

test("each subscriber gets what is after its cursor and passes its filter, in order, once, whatever happens when", {
  timeout: 120_000,
}, async () => {
  await playBroadcasts(2_500);
});
