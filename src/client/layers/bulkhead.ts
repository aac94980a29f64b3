import type { Call, Layer, Reply, StreamHandler, UnaryHandler } from "../../core/call.ts";
import type { Clock } from "../../core/clock.ts";
import { RpcError } from "../../core/errors.ts";
import { FailedStream } from "../../core/failed-stream.ts";
import type { MessageStream } from "../../core/message-stream.ts";
import type { AdaptiveLimit } from "../../policy/adaptive-limit.ts";
import type { Bulkhead, BulkheadPermit, BulkheadPlace, BulkheadRejection } from "../../policy/bulkhead.ts";
import type { Report } from "../report.ts";
import { LimitedAttempt } from "./adaptive-limit.ts";
import { handOn } from "./hand-on.ts";
import { QueuedStream } from "./queued-stream.ts";
import { Turn, type TurnContext } from "./turn.ts";

/** What bounds the attempts of a method that are under way. */
export interface BulkheadContext extends TurnContext {
  readonly bulkhead: Bulkhead;
  /** Of the target; undefined if it has none. */
  readonly limit: AdaptiveLimit | undefined;
  readonly report: Report | undefined;
}

/**
 * Bounds the attempts of a method that are under way, by its bulkhead and by the target's limit. What finds no room
 * waits where the bulkhead has a queue, and is rejected otherwise. On a stream the bulkhead's permit is held to the end
 * (rule B7).
 */
export function bulkheadLayer(context: BulkheadContext): Layer {
  const { bulkhead, clock } = context;
  return {
    // Not in async functions: see the breaker's layer.
    unary: (next) => (call) => {
      const entry = bulkhead.tryAcquire();
      if (entry.granted) return run(entry, next, call, clock);
      if (!entry.queued) return Promise.reject(rejected(call, entry, context));
      const turn = turnOf(entry, call, context);
      return turn.permit.then((permit) => {
        const attempt = withPermit(permit, () => turn.begin());
        return run(permit, next, attempt, clock);
      });
    },
    stream: (next) => (call) => {
      const entry = bulkhead.tryAcquire();
      if (entry.granted) return open(entry, next, call, clock);
      if (!entry.queued) return new FailedStream(rejected(call, entry, context));
      const turn = turnOf(entry, call, context);
      const begin = (permit: BulkheadPermit) => {
        const attempt = withPermit(permit, () => turn.begin());
        return open(permit, next, attempt, clock);
      };
      return new QueuedStream(turn, begin, call);
    },
  };
}

function turnOf(place: BulkheadPlace, call: Call, context: BulkheadContext): Turn {
  context.report?.(call, "queued", { ...context.bulkhead.snapshot() });
  return new Turn(place, call, context);
}

function run(permit: BulkheadPermit, next: UnaryHandler, call: Call, clock: Clock): Promise<Reply> {
  const limited = permit.limit && new LimitedAttempt(permit.limit, call, clock);
  return handOn(next, call).then(
    (reply) => {
      limited?.succeeded();
      permit.release();
      return reply;
    },
    (error) => {
      limited?.failed(error);
      permit.release();
      throw error;
    },
  );
}

function open(permit: BulkheadPermit, next: StreamHandler, call: Call, clock: Clock): MessageStream {
  const limited = permit.limit && new LimitedAttempt(permit.limit, call, clock);
  const stream = withPermit(permit, () => next(call));
  const opened = limited && { onHeaders: () => limited.opened(), onFirstMessage: () => limited.opened() };
  stream.watch({
    ...opened,
    onEnd: ({ outcome, error }) => {
      if (outcome === "ok") limited?.opened();
      else if (error || call.signal?.aborted) limited?.failed(error);
      permit.release();
    },
  });
  return stream;
}

/** Does something with a permit in hand; if that throws, nobody else gives it back. */
function withPermit<T>(permit: BulkheadPermit, work: () => T): T {
  try {
    return work();
  } catch (error) {
    permit.release();
    throw error;
  }
}

function rejected(call: Call, { full }: BulkheadRejection, { bulkhead, limit, report }: BulkheadContext): RpcError {
  const { underWay, queued } = bulkhead.snapshot();
  report?.(call, "rejected", { full, underWay, queued });
  const { path } = call.method;
  const waiting = queued > 0 ? `, and ${queued} wait` : "";
  if (full === "bulkhead") {
    const details = `${underWay} calls are under way${waiting}, as many as may: no attempt was sent`;
    return new RpcError({ path, reason: "BULKHEAD_FULL", details, attempts: 0 });
  }
  const details = `the target's limit of ${limit?.snapshot().limit} calls is reached${waiting}: no attempt was sent`;
  return new RpcError({ path, reason: "LIMIT_REACHED", details, attempts: 0 });
}
