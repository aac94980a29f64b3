import type { CallOptionName } from "../core/call-options.ts";

/** The names of all call options of ours. */
export const CALL_OPTIONS = {
  timeoutMs: true,
  deadline: true,
  signal: true,
  inherit: true,
  waitForReady: true,
  idempotencyKey: true,
  criticality: true,
  retry: true,
  maxAttempts: true,
  partition: true,
  cache: true,
  onCached: true,
  onExpired: true,
  metadata: true,
  onHeader: true,
  onTrailer: true,
} satisfies Record<CallOptionName, true>;
