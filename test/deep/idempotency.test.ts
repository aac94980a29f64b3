import { test } from "vitest";
import { playIdempotencyHistories } from "../support/idempotency-histories.ts";

test("10,000 histories of crashes, pauses and lost words: one run under a key is committed, and all are told its answer", () =>
  playIdempotencyHistories(10_000));
