import type { Metadata as MetadataType } from "nice-grpc-common";
import { type BatchAccess, readEntry } from "../../contract/batch.ts";
import type { RetryStop } from "../../core/attempts.ts";
import type { Call, Reply, UnaryHandler } from "../../core/call.ts";
import { detached } from "../../core/call-context.ts";
import { nextCallId } from "../../core/call-id.ts";
import type { CallOptions } from "../../core/call-options.ts";
import type { Clock, Timer } from "../../core/clock.ts";
import { CRITICALITIES, CRITICALITY_KEY } from "../../core/criticality.ts";
import { NO_DEADLINE } from "../../core/deadline.ts";
import { RpcError } from "../../core/errors.ts";
import type { Method } from "../../core/method.ts";
import { toStatusCode } from "../../core/status.ts";
import { fromAny } from "../../core/status-detail-codec.ts";
import type { BatchSeat } from "../../policy/batching.ts";
import type { RetryShare } from "../../policy/retry.ts";
import type { BudgetPermit } from "../../policy/retry-budget.ts";
import { Metadata } from "../../transport/index.ts";
import { credentialOption } from "../credentials/call-credentials.ts";
import type { Report } from "../report.ts";
import { mostAttempts } from "./attempt-rules.ts";
import { handOn } from "./hand-on.ts";
import { othersRefused, refusedError, refusedRequests } from "./refused-requests.ts";
import { ReplyCopy } from "./reply-copy.ts";
import { ReplyWaiter } from "./reply-waiter.ts";

/** What gathered calls are sent by. */
export interface GatheredContext {
  readonly access: BatchAccess;
  /** The method that takes many. */
  readonly target: Method;
  /** Throttle and budget of what is dialled: to make a batch once more is a retry. */
  readonly share: RetryShare;
  /** How long a call waits for others, in milliseconds. */
  readonly maxWaitMs: number;
  readonly clock: Clock;
  /** Aborts when the client is closed: nobody waits for others then. */
  readonly closed: AbortSignal;
  readonly report: Report | undefined;
}

/** How often a batch is made at the most: a refusal need not name all that is wrong, but each names some. */
const MOST_TIMES = 4;

/** A `google.rpc.Status` as ts-proto has it. */
interface RpcStatus {
  readonly code?: number;
  readonly message?: string;
  /** Of each, a `google.protobuf.Any`. */
  readonly details?: readonly { readonly typeUrl: string; readonly value: Uint8Array }[];
}

/**
 * Calls that become one. It is sent when it is full or the wait for others is over, with the latest of their deadlines
 * and none of their signals: whoever leaves leaves the others waiting, and the last one cancels it.
 */
export class GatheredCalls {
  readonly #context: GatheredContext;
  readonly #send: UnaryHandler;
  readonly #first: Call;
  /** As it was when the batch was opened: it belongs to the application. */
  readonly #metadata: MetadataType | undefined;
  /** Who waits, and for what; in the order in which they came. */
  readonly #waiters = new Map<ReplyWaiter, unknown>();
  readonly #cancellation = new AbortController();
  #timer: Timer | undefined;
  #dueAt = NO_DEADLINE;
  #end: () => void = () => {};
  #sent = false;
  /** How often it has been made. */
  #made = 0;
  /** Of the budget, while it is made once more. */
  #permit: BudgetPermit | undefined;

  /**
   * @param send makes the call of the method that takes many.
   * @param first the call that the others join.
   */
  constructor(context: GatheredContext, send: UnaryHandler, first: Call) {
    this.#context = context;
    this.#send = send;
    this.#first = first;
    this.#metadata = first.metadata && new Metadata(first.metadata);
  }

  /** Waits for a call's own answer, and sends the batch if that is full, or the call cannot wait for others. */
  wait(call: Call, request: unknown, seat: BatchSeat<GatheredCalls>): Promise<Reply> {
    const { clock, maxWaitMs, closed } = this.#context;
    const waiter = new ReplyWaiter(call, seat, (reason) => this.#leave(waiter, reason));
    this.#waiters.set(waiter, request);
    waiter.watch(NO_DEADLINE, clock);
    if (seat.first) {
      this.#end = () => seat.end();
      this.#dueAt = call.startedAt + maxWaitMs;
      this.#timer = clock.setTimer(maxWaitMs, () => this.send());
    }
    if (seat.full || closed.aborted || call.deadline <= this.#dueAt) this.send();
    return waiter.reply;
  }

  /** Sends what has been gathered, unless it has been. */
  send(): void {
    if (this.#sent) return;
    this.#sent = true;
    this.#timer?.cancel();
    this.#end();
    this.#make();
  }

  #make(): void {
    this.#made += 1;
    const asked = [...this.#waiters.keys()];
    const latest = asked.reduce((latest, { call }) => Math.max(latest, call.deadline), 0);
    const call = this.#call([...this.#waiters.values()], latest);
    this.#context.report?.(this.#first, "sent", { size: asked.length, call: call.id });
    // Whoever filled the batch is served by some call; the batch is for all of them.
    detached(() => handOn(this.#send, call)).then(
      (reply) => {
        this.#permit?.release();
        this.#answer(asked, reply);
      },
      (error) => {
        this.#permit?.release();
        this.#fail(asked, error);
      },
    );
  }

  #call(requests: readonly unknown[], deadline: number): Call {
    const { access, target, clock } = this.#context;
    const { carrier, options } = this.#first;
    const startedAt = clock.now();
    const { signal } = this.#cancellation;
    return {
      ...{ id: nextCallId(), attempt: 1, method: target, request: { [access.requestsField]: requests } },
      options: {
        ...optionsOf(options, deadline - startedAt),
        ...credentialOption(options),
        ...criticalityOf([...this.#waiters.keys()]),
      },
      ...{ metadata: this.#metadata, headers: undefined, startedAt, deadline: NO_DEADLINE, signal, carrier },
    };
  }

  #leave(waiter: ReplyWaiter, reason: unknown): void {
    this.#waiters.delete(waiter);
    if (!waiter.seat.leave()) return;
    this.#timer?.cancel();
    if (this.#sent) this.#cancellation.abort(reason);
    // Nobody is left to send it for.
    this.#sent = true;
  }

  /** @param asked all who are in the batch as it was sent, some of whom may have left. */
  #answer(asked: readonly ReplyWaiter[], reply: Reply): void {
    const { access, target } = this.#context;
    const entries = Reflect.get(reply.message as object, access.responsesField) as readonly object[] | undefined;
    if (entries?.length !== asked.length) {
      return this.#reject(wrongCount(target.path, asked.length, entries?.length ?? 0));
    }
    for (const [index, waiter] of asked.entries()) {
      if (this.#waiters.has(waiter)) waiter.resolve(() => this.#replyOf(waiter.call, entries[index] ?? {}, reply));
    }
    this.#waiters.clear();
  }

  /** @throws RpcError if the entry is a failure. */
  #replyOf({ method: { path } }: Call, entry: object, reply: Reply): Reply {
    const { response, status } = readEntry(entry as Record<string, unknown>, this.#context.access);
    const { code = 0, message = "", details = [] } = (status ?? {}) as RpcStatus;
    if (code !== 0) {
      const said = { code: toStatusCode(code), details: message, statusDetails: details.map(fromAny) };
      throw new RpcError({ path, reason: "STATUS", ...said, headersReceived: true, cause: status });
    }
    if (response === undefined || response === null) {
      const details = `${this.#context.target.name} answered it with neither a response nor a status`;
      throw new RpcError({ path, reason: "RESPONSE_COUNT", details, headersReceived: true });
    }
    return new ReplyCopy(response, reply);
  }

  /**
   * A request that is refused for what is in it does not cost the others their answers: they are asked for once more,
   * without it, where the method may be repeated. A refusal may not name all that is wrong: then there is another.
   */
  #fail(asked: readonly ReplyWaiter[], error: unknown): void {
    const refused = refusedRequests(error, this.#context.access.requestsField, asked.length);
    if (!refused) return this.#reject(error);
    for (const [index, violations] of refused.violations) {
      const waiter = asked[index];
      if (!waiter || !this.#waiters.delete(waiter)) continue;
      waiter.reject(refusedError(waiter.call.method, violations));
      waiter.seat.leave();
    }
    if (this.#waiters.size === 0) return;
    const stop = this.#stopAt(refused.error);
    if (stop) this.#reject(othersRefused(this.#first.method, refused.error, stop));
    else this.#make();
  }

  /** Leave to make it once more; or why there is none. */
  #stopAt({ headersReceived }: RpcError): RetryStop | undefined {
    const { target, share } = this.#context;
    if (target.idempotency === "UNKNOWN") return "NOT_RETRYABLE";
    if (headersReceived) return "COMMITTED";
    if (this.#made >= Math.min(MOST_TIMES, mostAttempts(this.#first.options))) return "MAX_ATTEMPTS";
    if (!share.throttling.allows()) return "THROTTLED";
    this.#permit = share.budget.tryAcquire();
    return this.#permit ? undefined : "BUDGET";
  }

  #reject(error: unknown): void {
    for (const waiter of this.#waiters.keys()) waiter.reject(error);
    this.#waiters.clear();
  }
}

/** That of the call that matters most. */
function criticalityOf(waiters: readonly ReplyWaiter[]): Pick<CallOptions, "criticality"> {
  const said = waiters.map(({ call }) => call.headers?.[CRITICALITY_KEY]);
  const criticality = CRITICALITIES.findLast((one) => said.includes(one));
  const unsaid = said.includes(undefined) && criticality !== "critical_plus";
  return criticality === undefined || unsaid ? {} : { criticality };
}

/** What all of the calls have in common. */
function optionsOf(options: CallOptions, timeoutMs: number): CallOptions {
  const { partition, cache, retry, maxAttempts, waitForReady } = options;
  return {
    timeoutMs,
    ...(partition !== undefined && { partition }),
    ...(cache !== undefined && { cache }),
    ...(retry !== undefined && { retry }),
    ...(maxAttempts !== undefined && { maxAttempts }),
    ...(waitForReady !== undefined && { waitForReady }),
  };
}

function wrongCount(path: string, asked: number, answered: number): RpcError {
  const details = `${asked} requests were answered with ${answered} entries; there must be one for each, in their order`;
  return new RpcError({ path, reason: "RESPONSE_COUNT", details, headersReceived: true });
}
