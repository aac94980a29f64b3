import { test } from "vitest";
import { playIdempotencyHistories } from "../support/idempotency-histories.ts";

test(
  "whatever crashes, stands still or is not heard: one run under a key is committed, and all are told its answer",
  {
    timeout: 60_000,
  },
  () => playIdempotencyHistories(1_000),
);
