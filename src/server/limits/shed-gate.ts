import type { CallContext } from "../../core/call-context.ts";
import type { Clock } from "../../core/clock.ts";
import { type Criticality, DEFAULT_CRITICALITY } from "../../core/criticality.ts";
import { RpcError } from "../../core/errors.ts";
import { notify, type Observer } from "../../core/observer.ts";
import type { Random } from "../../core/random.ts";
import type { ServedContext } from "../../core/served-call.ts";
import { Status } from "../../core/status.ts";
import type { ShedCause, Shedder, ShedPermit, ShedPlace } from "../../policy/shedding.ts";
import { shed } from "./refusals.ts";

/** What decides whether a call is run. */
export interface ShedGate {
  readonly shedder: Shedder;
  /** How long a call may wait for its turn, in milliseconds. */
  readonly maxWaitMs: number;
  readonly clock: Clock;
  readonly random: Random;
  readonly observer: Observer | undefined;
  /** How far the event loop lags, in milliseconds. */
  readonly loopDelayMs: () => number;
  /** Whether a caller is believed that says how much its call matters. Default: all are. */
  readonly trustCriticality?: ((context: CallContext) => boolean) | undefined;
}

/** What a refused call is told. */
const BECAUSE: Readonly<Record<Exclude<ShedCause, "expired">, string>> = {
  limit: "as many calls run and wait as may",
  "event-loop": "its event loop lags",
  displaced: "a call that matters more took its place",
};

/**
 * Leave to run a call, at once or when its turn has come.
 *
 * @throws RpcError, or rejects with one, if it is not to be run; rejects with the signal's reason if the client leaves.
 */
export function enter(gate: ShedGate, context: ServedContext): ShedPermit | Promise<ShedPermit> {
  const criticality = criticalityOf(gate, context);
  const { deadlineAt } = context;
  const turn = gate.shedder.tryAcquire({ criticality, deadlineAt }, gate.loopDelayMs());
  if (turn.granted) return turn;
  if (!turn.queued) throw refused(gate, context.method.path, criticality, turn.because);
  return wait(gate, context, turn);
}

/** Of whom is not believed, what the contract says counts, for the calls too that are made while serving it. */
function criticalityOf({ trustCriticality }: ShedGate, context: CallContext): Criticality {
  if (trustCriticality && !trustCriticality(context)) {
    const value = context.method.criticality;
    Object.defineProperty(context, "criticality", { value, enumerable: true, configurable: true });
  }
  return context.criticality ?? DEFAULT_CRITICALITY;
}

function wait(gate: ShedGate, context: ServedContext, place: ShedPlace): Promise<ShedPermit> {
  const { promise, resolve, reject } = Promise.withResolvers<ShedPermit>();
  const refuse = (because: ShedCause) => reject(refused(gate, context.method.path, place.criticality, because));
  const { signal } = context;
  let over: unknown;
  const leave = (reason: unknown) => {
    over = reason;
    if (place.leave()) reject(reason);
  };
  const onAbort = () => leave(signal.reason);
  // A middleware around it may have given up without a word.
  context.onEnd(() => leave(new Error("the call ended while it waited for its turn")));
  const timer = gate.clock.setTimer(Math.min(gate.maxWaitMs, context.remainingMs()), () => {
    if (place.leave()) refuse(context.remainingMs() > 0 ? "limit" : "expired");
  });
  signal.addEventListener("abort", onAbort, { once: true });
  place.onTurn((turn) => (turn.granted ? resolve(turn) : refuse(turn.because)));
  if (signal.aborted) onAbort();
  const begin = (permit: ShedPermit) => {
    if (over === undefined) return permit;
    // Its turn came in the moment in which it was over.
    permit.ignore();
    throw over;
  };
  return promise.then(begin).finally(() => {
    timer.cancel();
    signal.removeEventListener("abort", onAbort);
  });
}

/** What a call is refused with; the observer is told. @param path the method that was called. */
export function refused(gate: ShedGate, path: string, criticality: Criticality, because: ShedCause): RpcError {
  if (gate.observer) {
    const detail = { criticality, because };
    notify(gate.observer, { type: "policy", policy: "shed", action: "rejected", method: path, detail });
  }
  if (because !== "expired") return shed(path, criticality, BECAUSE[because], gate.random);
  const details = "the deadline passed while the call waited for its turn";
  return new RpcError({ path, reason: "REFUSED", code: Status.DEADLINE_EXCEEDED, details });
}
