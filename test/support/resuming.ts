import { Metadata } from "nice-grpc-common";
import { resumeLayer } from "../../src/client/layers/resume.ts";
import { stallLayer } from "../../src/client/layers/stall.ts";
import { reportTo } from "../../src/client/report.ts";
import { type CursorAccess, type CursorType, EMPTY_CURSORS } from "../../src/contract/cursor.ts";
import type { ResumePolicy, RetryBudgetPolicy } from "../../src/contract/policy.ts";
import { resolveBudget, resolveResume, resolveRetry, resolveThrottling } from "../../src/contract/resolve.ts";
import type { Layer } from "../../src/core/call.ts";
import type { Clock } from "../../src/core/clock.ts";
import { CURSOR_HEADER, encodeCursor } from "../../src/core/cursor.ts";
import { DRAIN_TRAILER, type RpcError } from "../../src/core/errors.ts";
import type { ObserverEvent } from "../../src/core/observer.ts";
import type { RetryShare } from "../../src/policy/retry.ts";
import { RetryBudget } from "../../src/policy/retry-budget.ts";
import { RetryThrottling } from "../../src/policy/retry-throttling.ts";
import { type FakeClock, fakeClock } from "../../src/testing/index.ts";
import { listenersOf } from "./driven.ts";
import { aFailure } from "./retrying.ts";

/** What a resume layer is made with; names of fields are the test's own. */
export interface Resuming extends Partial<ResumePolicy> {
  readonly type?: CursorType;
  readonly retryBudget?: RetryBudgetPolicy;
  /** The layer's own clock, made from the test's. Default: that one. */
  readonly clockOf?: (clock: FakeClock) => Clock;
  /** What an empty request has as its position. Default: what the type's name says. */
  readonly empty?: unknown;
}

/** Reads the position `at` off a response, and writes it to `after` of a request, whose `limit` says how many. */
export function accessOf(type: CursorType): CursorAccess {
  return {
    ...{ type, requestField: "after", cursorField: "at", limitField: "limit", progressField: "mark" },
    read: (response) => Reflect.get(response as object, "at"),
    write: (request, cursor) => ({ ...(request as object), after: cursor }),
  };
}

/** More reopenings than any test makes. */
const PLENTY: RetryBudgetPolicy = { ratio: 1, minInFlight: 1_000 };

/**
 * A resume layer whose waits are 50, 100, 200 … ms, with its clock, what its calls share, and what it tells. Messages
 * that say `mark` are markers.
 */
export function resuming({ type = "int64", retryBudget = PLENTY, empty, clockOf, ...policy }: Resuming = {}): {
  layer: Layer;
  clock: FakeClock;
  share: RetryShare;
  events: ObserverEvent[];
  controller: AbortController;
  /** Aborts when the client is closed. */
  closing: AbortController;
  left(): object;
} {
  const clock = fakeClock();
  const events: ObserverEvent[] = [];
  const controller = new AbortController();
  const closing = new AbortController();
  const share = {
    throttling: new RetryThrottling(resolveThrottling()),
    budget: new RetryBudget(resolveBudget(retryBudget), clock),
  };
  const layer = resumeLayer({
    options: resolveResume({ initialBackoffMs: 100, maxBackoffMs: 1_000, ...policy }),
    access: accessOf(type),
    isMarker: (message) => Reflect.get(message as object, "mark") === true,
    emptyCursor: () => empty ?? EMPTY_CURSORS[type],
    ...{ share, clock: clockOf?.(clock) ?? clock, random: () => 0.5, closed: closing.signal },
    report: reportTo((event) => void events.push(event), "resume"),
  });
  return {
    ...{ layer, clock, share, events, controller, closing },
    left: () => ({
      timers: clock.pending,
      listeners: listenersOf(controller.signal) + listenersOf(closing.signal),
      permits: share.budget.snapshot().inFlight,
    }),
  };
}

/** One layer around another. */
export function around(outer: Layer, inner: Layer): Layer {
  return {
    unary: (next, method) => outer.unary(inner.unary(next, method), method),
    stream: (next, method) => outer.stream(inner.stream(next, method), method),
  };
}

/** A stall layer that gives up after three intervals of 10 ms; messages that say `mark` are heartbeats. */
export function stalling(clock: Clock, hides = true) {
  const events: ObserverEvent[] = [];
  const layer = stallLayer({
    options: { intervalMs: 10, missed: 3 },
    isHidden: hides ? (message) => (message as { mark?: boolean }).mark === true : undefined,
    clock,
    report: reportTo((event) => void events.push(event), "stall"),
  });
  return { layer, events };
}

/** What a retry layer under another is made with: so that tests see who opens a stream again. */
export const TWICE = resolveRetry({ maxAttempts: 2, initialBackoffMs: 10 });

/** The header in which a server tells where a stream begins. */
export function pinnedAt(cursor: unknown): Metadata {
  return new Metadata({ [CURSOR_HEADER]: encodeCursor(cursor) });
}

/** The connection broke after the request had left. */
export function aCut(): RpcError {
  return aFailure({ reason: "TRANSPORT", details: "Connection dropped" });
}

/** There was no connection to send the request over. */
export function unsent(): RpcError {
  return aFailure({ reason: "TRANSPORT", details: "No connection established", sent: false });
}

/** A server that leaves in good order. */
export function aDrain(): RpcError {
  return aFailure({ reason: "DRAINING", trailer: new Metadata({ [DRAIN_TRAILER]: "1" }) });
}

/** What the client's own breaker rejects with. */
export function breakerOpen(retryAfterMs?: number): RpcError {
  return aFailure({ reason: "BREAKER_OPEN", origin: "local", attempts: 0, retryAfterMs });
}

/** The server no longer has the position. */
export function expired(): RpcError {
  return aFailure({ code: 11, details: "compacted" });
}
