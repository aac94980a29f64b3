import type { SharingOptions, SharingPolicy } from "../../src/client/policy-layers/sharing-layers.ts";
import { sharingLayers } from "../../src/client/policy-layers/sharing-layers.ts";
import type { Call, Reply, UnaryHandler } from "../../src/core/call.ts";
import { nextCallId } from "../../src/core/call-id.ts";
import { NO_DEADLINE } from "../../src/core/deadline.ts";
import { RpcError } from "../../src/core/errors.ts";
import type { ObserverEvent } from "../../src/core/observer.ts";
import { fakeClock } from "../../src/testing/index.ts";
import { aClientState } from "./client-state.ts";
import { aCall, aMethod, aReply } from "./scripted.ts";

/** A call below the layers, in the test's hands. It ends by itself when its signal aborts or its deadline passes. */
export interface SharedAttempt {
  readonly call: Call;
  readonly over: boolean;
  readonly cancelledWith: unknown;
  reply(message: unknown, reply?: Partial<Reply>): void;
  fail(error: unknown): void;
}

/** A method without side effects. */
export const aRead = aMethod("unary", { idempotency: "NO_SIDE_EFFECTS" });

/** What a call is ended with whose deadline has passed. */
export const ranOut = () => new RpcError({ path: aRead.path, reason: "DEADLINE_EXCEEDED", details: "ran out" });

/** The layers by which the calls of a read share answers, its clock, and what they tell. */
export function sharing(policy: SharingPolicy, options: Partial<SharingOptions> = {}) {
  const clock = fakeClock();
  const events: ObserverEvent[] = [];
  const state = aClientState({ clock, observer: (event) => void events.push(event) });
  const layers = sharingLayers(policy, aRead, state, { timeoutMs: 1_000, ...options });
  const attempts: SharedAttempt[] = [];
  const below: UnaryHandler = (call) => {
    const { promise, resolve, reject } = Promise.withResolvers<Reply>();
    const attempt = {
      call,
      over: false,
      cancelledWith: undefined as unknown,
      reply: (message: unknown, reply: Partial<Reply> = {}) => end(() => resolve({ ...aReply(message), ...reply })),
      fail: (error: unknown) => end(() => reject(error)),
    };
    const timer = clock.setTimer(call.deadline - clock.now(), () => attempt.fail(ranOut()));
    const onAbort = () => {
      attempt.cancelledWith = call.signal?.reason;
      attempt.fail(call.signal?.reason);
    };
    const end = (settle: () => void) => {
      attempt.over = true;
      timer.cancel();
      call.signal?.removeEventListener("abort", onAbort);
      settle();
    };
    call.signal?.addEventListener("abort", onAbort);
    attempts.push(attempt);
    return promise;
  };
  const places = [layers.coalesce, layers.cache, layers.fallback];
  const handler = places.reduce((next, layer) => layer?.unary(next, aRead) ?? next, below);
  const begin = (changes: Partial<Call> = {}): Promise<Reply> => {
    const deadline = options.timeoutMs === undefined ? clock.now() + 1_000 : NO_DEADLINE;
    const reply = handler(aCall({ id: nextCallId(), method: aRead, startedAt: clock.now(), deadline, ...changes }));
    reply.catch(() => {});
    return reply;
  };
  /** Makes a call: what it ends with. */
  const start = (changes: Partial<Call> = {}) => {
    const message = begin(changes).then(({ message }) => message);
    message.catch(() => {});
    return message;
  };
  const attempt = (number: number): SharedAttempt => {
    const found = attempts[number - 1];
    if (!found) throw new Error(`there is no attempt ${number}, but ${attempts.length}`);
    return found;
  };
  return { layers, clock, events, state, attempts, attempt, begin, start };
}
