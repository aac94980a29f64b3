import { test } from "vitest";
import { playBroadcasts, playHedges, playRetries, playSharing } from "../support/world-histories.ts";

test.each([
  ["calls that are tried again", playRetries],
  ["calls that are hedged", playHedges],
  ["calls that are shared", playSharing],
  ["broadcasts", playBroadcasts],
])("10,000 histories of %s: each settles as it must, and nothing is left", async (_, play) => {
  await play(10_000);
});
