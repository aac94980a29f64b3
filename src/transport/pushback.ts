import type { Metadata } from "nice-grpc-common";
import { LONGEST_32_BIT_MS } from "../core/check-options.ts";
import { PUSHBACK } from "../core/errors.ts";
import { decodeStatus, STATUS_DETAILS } from "../core/rich-status.ts";
import type { StatusDetail } from "../core/status-detail.ts";
import { typeOfAny } from "../core/status-detail-codec.ts";

const NEVER = -1;

/**
 * The server's word on when to retry (rule R4): after so many milliseconds; negative: not at all. It stands in
 * `grpc-retry-pushback-ms` or, failing that, in a `google.rpc.RetryInfo`. What cannot be read, and what is said twice,
 * means not at all.
 *
 * @returns undefined if it says nothing.
 */
export function pushbackOf(trailer: Metadata): number | undefined {
  const said = trailer.getAll(PUSHBACK);
  if (said.length > 0) return said.length === 1 ? toMilliseconds(String(said[0])) : NEVER;
  const delays = decodeStatus(trailer.getAll(STATUS_DETAILS)).flatMap(retryDelay);
  return delays.length > 1 ? NEVER : delays[0];
}

function toMilliseconds(text: string): number {
  const milliseconds = /^(0|[1-9]\d{0,9})$/.test(text) ? Number(text) : NEVER;
  return milliseconds <= LONGEST_32_BIT_MS ? milliseconds : NEVER;
}

/** What a detail says of it, in whole milliseconds, rounded up. */
function retryDelay(detail: StatusDetail): number[] {
  if (detail.$type === "google.protobuf.Any") return typeOfAny(detail) === "google.rpc.RetryInfo" ? [NEVER] : [];
  if (detail.$type !== "google.rpc.RetryInfo" || detail.retryDelayMs === undefined) return [];
  const { retryDelayMs } = detail;
  return [retryDelayMs >= 0 && retryDelayMs <= LONGEST_32_BIT_MS ? Math.ceil(retryDelayMs) : NEVER];
}
