import type { Clock } from "../../core/clock.ts";
import { leave } from "../../core/message-stream.ts";
import type { ServedContext, ServedEnd, ServerLayer } from "../../core/served-call.ts";
import { Status } from "../../core/status.ts";
import type { ShedPermit } from "../../policy/shedding.ts";
import { LaterStream } from "../later-stream.ts";
import { enter, type ShedGate } from "../limits/shed-gate.ts";

/**
 * How long a stream, of requests or of responses, counts as being opened at most, in milliseconds: one that has had
 * nothing to say until then may be quiet for hours.
 */
export const OPENING_MS = 1_000;

/**
 * Refuses calls where the server has too much to do, before anything is done for them. A unary call counts until its
 * handler has ended, whether or not its client still waits. Of a stream its opening counts, to its first response or its
 * end: watches that stay open for hours, and clients that upload or are silent for as long as they like, would use the
 * limit up, and they tell nothing of latency.
 */
export function shedLayer(gate: ShedGate): ServerLayer {
  return {
    unary:
      (next, { requestStream }) =>
      async (request, context) => {
        const turn = enter(gate, context);
        const permit = turn instanceof Promise ? await turn : turn;
        if (requestStream) holdWhileOpening(permit, context, gate.clock);
        else context.onEnd((end) => settle(permit, end));
        return next(request, context);
      },
    stream: (next) => (request, context) => {
      const open = (permit: ShedPermit) => {
        const opened = holdWhileOpening(permit, context, gate.clock);
        return endOpening(next(request, context), opened);
      };
      const turn = enter(gate, context);
      return turn instanceof Promise ? LaterStream.of(turn.then(open)) : open(turn);
    },
  };
}

/** A handler that is through in time is the measure; one that fails may be quicker than an answer. */
function settle(permit: ShedPermit, { outcome, error }: ServedEnd): void {
  if (outcome === "ok") permit.success();
  else if (error?.code === Status.DEADLINE_EXCEEDED) permit.timedOut();
  else permit.ignore();
}

/** @returns what to call when the stream has been opened. */
function holdWhileOpening(permit: ShedPermit, context: ServedContext, clock: Clock): () => void {
  const opened = () => {
    timer.cancel();
    permit.ignore();
  };
  const timer = clock.setTimer(OPENING_MS, opened);
  context.onEnd(opened);
  return opened;
}

/** The same messages; calls back when the first one has come, or the end. */
function endOpening(stream: AsyncIterable<unknown>, opened: () => void): AsyncIterable<unknown> {
  const iterator = stream[Symbol.asyncIterator]();
  let opening = true;
  const first = async () => {
    opening = false;
    try {
      return await iterator.next();
    } finally {
      opened();
    }
  };
  const stepper: AsyncIterableIterator<unknown> = {
    next: () => (opening ? first() : iterator.next()),
    return: () => leave(iterator),
    [Symbol.asyncIterator]: () => stepper,
  };
  return stepper;
}
