import type { RpcError } from "../core/errors.ts";
import type { Reason } from "../core/reasons.ts";
import type { StatusCode } from "../core/status.ts";
import type { BreakerPermit } from "./breaker-permit.ts";

/**
 * What says nothing about how the target is: the client's or the program's own doing, and a server that leaves in good
 * order, whose work another one takes.
 */
const SAYS_NOTHING: ReadonlySet<Reason> = new Set([
  "DRAINING",
  "UNEXPECTED",
  "CANCELLED",
  "CLIENT_CLOSED",
  "REQUEST_NOT_ENCODABLE",
  "NO_CREDENTIALS",
  "MESSAGE_TOO_LARGE",
  "DEADLINE_BEFORE_SEND",
  "BREAKER_OPEN",
  "BULKHEAD_FULL",
  "LIMIT_REACHED",
  "CLIENT_THROTTLED",
  // Of this caller, or of calls that matter less: the target is well, and serves others.
  "RATE_LIMITED",
  "SHED",
]);

/** What is known of an attempt that did not succeed, besides its error. All times in milliseconds. */
export interface AttemptFacts {
  /** How long it had, but for `waitedMs`; Infinity without a deadline. */
  readonly givenMs: number;
  /** How long it took, but for `waitedMs`; negative if it was never sent. */
  readonly tookMs: number;
  /** Before it was sent, less what the process stood still meanwhile. */
  readonly waitedMs: number;
  /** For how long of `tookMs` the process stood still. */
  readonly stalledMs: number;
  /** Longer than which it would have been slow. */
  readonly slowMs: number;
}

/** Gives a permit back with what an error says about the target. */
export function settle(permit: BreakerPermit, error: RpcError, codes: ReadonlySet<StatusCode>, excusedMs = 0): void {
  if (SAYS_NOTHING.has(error.reason)) permit.ignore();
  else if (codes.has(error.code)) permit.failure(excusedMs);
  else permit.success(excusedMs);
}

/** The same, for an attempt whose time may have been too short, or gone while this process stood still. */
export function settleFailed(
  permit: BreakerPermit,
  error: RpcError,
  codes: ReadonlySet<StatusCode>,
  facts: AttemptFacts,
): void {
  const { givenMs, tookMs, stalledMs, waitedMs } = facts;
  const ranOut = error.reason === "DEADLINE_EXCEEDED" || error.reason === "ATTEMPT_TIMEOUT";
  // What it took beyond that was after the deadline, and so was as much of the standstill.
  const hadMs = Math.min(givenMs, Math.max(givenMs, tookMs) - stalledMs);
  if (ranOut && error.headersReceived) permit.success(waitedMs);
  else if (error.reason === "DEADLINE_EXCEEDED" && isImpatient(hadMs, facts)) permit.ignore();
  else if (ranOut && stoodStill(facts)) permit.ignore();
  else settle(permit, error, codes, waitedMs);
}

/**
 * The caller has left. Where it is a time limit that made it leave, as `AbortSignal.timeout` does, the target has
 * failed to answer in time, unless that was too short a time or this process stood still; anything else says nothing of
 * it.
 */
export function settleLeft(permit: BreakerPermit, reason: unknown, facts: AttemptFacts): void {
  const ranOut = reason instanceof Error && reason.name === "TimeoutError";
  const { tookMs, stalledMs, waitedMs } = facts;
  const isExcused = tookMs < 0 || stoodStill(facts) || isImpatient(tookMs - stalledMs, facts);
  if (ranOut && !isExcused) permit.failure(waitedMs);
  else permit.ignore();
}

/** Its answer may have come, and had nobody to hear it. */
function stoodStill({ stalledMs, tookMs }: AttemptFacts): boolean {
  return stalledMs > tookMs / 2;
}

/** A target that would not even be slow cannot be blamed for what this caller does not wait for. */
function isImpatient(hadMs: number, { slowMs }: AttemptFacts): boolean {
  return slowMs !== Number.POSITIVE_INFINITY && hadMs < slowMs;
}
