import { expect, test } from "vitest";
import { inOptionNames } from "../../../src/core/check-options.ts";

test.each([
  ["set max_queued, or leave it out", "set maxQueued, or leave it out"],
  ["stale_while_revalidate and ttl", "staleWhileRevalidate and ttl"],
  ['gRPC has no status "not_there"', 'gRPC has no status "not_there"'],
  ["set idempotency_level = NO_SIDE_EFFECTS", "set idempotencyLevel = NO_SIDE_EFFECTS"],
])("%s reads %s: fields by the names of options, and what is quoted as it was", (said, read) => {
  expect(inOptionNames(said)).toBe(read);
});
