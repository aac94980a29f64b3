import type { Call, Reply, UnaryHandler } from "../../core/call.ts";
import { detached } from "../../core/call-context.ts";
import type { Clock } from "../../core/clock.ts";
import type { Seat } from "../../policy/coalescing.ts";
import type { Report } from "../report.ts";
import { handOn } from "./hand-on.ts";
import { HedgeSignal } from "./hedge-signal.ts";
import { ranIntoDeadline } from "./ran-into-deadline.ts";
import { decodeCopy, ReplyCopy } from "./reply-copy.ts";
import { ReplyWaiter } from "./reply-waiter.ts";

/** What the calls of a method share their attempts by. */
export interface SharedReplyContext {
  /** How long a call may take if nobody narrows it, in milliseconds; Infinity for no limit. */
  readonly timeoutMs: number;
  readonly clock: Clock;
  readonly report: Report | undefined;
}

/**
 * One call for all who wait for the same answer. It has none of their signals, and a deadline that is nobody's alone:
 * whoever leaves, by signal or deadline, leaves the others waiting, and the last one cancels it.
 */
export class SharedReply {
  readonly #context: SharedReplyContext;
  readonly #next: UnaryHandler;
  readonly #request: unknown;
  readonly #waiters = new Set<ReplyWaiter>();
  #cancellation = new HedgeSignal();
  #deadline: number;

  /** @param request a copy that no application changes. */
  constructor(context: SharedReplyContext, next: UnaryHandler, call: Call, request: unknown) {
    this.#context = context;
    this.#next = next;
    this.#request = request;
    this.#deadline = Math.max(call.deadline, call.startedAt + context.timeoutMs);
  }

  /** Waits for the answer, and begins the call if nobody has. */
  wait(call: Call, seat: Seat<SharedReply>): Promise<Reply> {
    const waiter = new ReplyWaiter(call, seat, (error) => this.#leave(waiter, error));
    this.#waiters.add(waiter);
    waiter.watch(this.#deadline, this.#context.clock);
    if (seat.first) this.#send(call, call.startedAt);
    else this.#context.report?.(call, "joined", { waiting: this.#waiters.size });
    return waiter.reply;
  }

  #send(call: Call, startedAt: number): void {
    const { signal } = this.#cancellation;
    // Headers are for whoever of the waiters asks for them; over nice-grpc it must be said beforehand.
    const options = { ...call.options, onHeader: ignore };
    const shared = { ...call, request: this.#request, options, startedAt, deadline: this.#deadline, signal };
    const cancellation = this.#cancellation;
    detached(() => handOn(this.#next, shared)).then(
      (reply) => cancellation.aborted || this.#succeeded(reply, call),
      (error) => cancellation.aborted || this.#failed(error),
    );
  }

  #leave(waiter: ReplyWaiter, reason: unknown): void {
    this.#waiters.delete(waiter);
    if (!waiter.seat.leave()) return;
    this.#context.report?.(waiter.call, "cancelled", {});
    this.#cancellation.abort(reason);
  }

  #succeeded(reply: Reply, { method }: Call): void {
    const [first, ...others] = this.#release();
    first?.resolve(() => reply);
    if (others.length === 0) return;
    let bytes: Uint8Array | undefined;
    const copy = () => {
      bytes ??= method.response.encode(reply.message);
      return new ReplyCopy(decodeCopy(method.response, bytes), reply);
    };
    // Their copies are made before any of them can change the first one's.
    for (const waiter of others) waiter.resolve(copy);
  }

  #failed(error: unknown): void {
    const ranOut = ranIntoDeadline(error, this.#deadline - this.#context.clock.now());
    const latest = ranOut ? [...this.#waiters].filter(({ call }) => call.deadline > this.#deadline) : [];
    const [first] = latest;
    if (!first) {
      for (const waiter of this.#release()) waiter.reject(error);
      return;
    }
    for (const waiter of [...this.#waiters]) if (!latest.includes(waiter)) this.#expire(waiter, error);
    this.#renew(first.call, latest);
  }

  /** The time was over for those who came first. @param latest who has some left. */
  #renew(call: Call, latest: readonly ReplyWaiter[]): void {
    const { clock, timeoutMs, report } = this.#context;
    const now = clock.now();
    this.#deadline = Math.max(now + timeoutMs, ...latest.map(({ call }) => call.deadline));
    for (const waiter of latest) waiter.watch(this.#deadline, clock);
    report?.(call, "renewed", { waiting: latest.length });
    this.#send(call, now);
  }

  #expire(waiter: ReplyWaiter, error: unknown): void {
    this.#waiters.delete(waiter);
    waiter.seat.leave();
    waiter.reject(error);
  }

  /** The call is over: whoever comes now begins another. */
  #release(): ReplyWaiter[] {
    const waiters = [...this.#waiters];
    this.#waiters.clear();
    waiters[0]?.seat.end();
    return waiters;
  }
}

function ignore(): void {}
