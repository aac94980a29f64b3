import { circuitBreaker } from "bowline";
import { unaryMethod } from "../../src/client/invoke.ts";
import type { Layers, Place } from "../../src/client/pipeline.ts";
import type { HedgePolicy, ServicePolicy } from "../../src/contract/policy.ts";
import type { Call, Reply } from "../../src/core/call.ts";
import { systemClock } from "../../src/core/clock.ts";
import type { Observer } from "../../src/core/observer.ts";
import { systemRandom } from "../../src/core/random.ts";
import { composed, layersOf, method } from "./get-order.ts";
import { reply, request, type Subject, settings, work } from "./subject.ts";
import { through, untimed } from "./through.ts";

const { failureRatio, windowMs, minimumCalls, openMs, timeoutMs, ...retry } = settings;
const breaker = { failureRatio, windowMs, minimumCalls, openMs };

/** The work, within the call's deadline: with a timer, as attempts over nice-grpc have. */
async function timed({ deadline, startedAt }: Call): Promise<Reply> {
  const timer = systemClock.setTimer(deadline - startedAt, expire, startedAt);
  try {
    await undefined;
    return reply;
  } finally {
    timer.cancel();
  }
}

/** What no pipeline can do without that has a deadline, and a breaker with a window of time. */
async function least(): Promise<Reply> {
  const timer = systemClock.setTimer(timeoutMs, expire, systemClock.now());
  await undefined;
  timer.cancel();
  systemClock.now();
  return reply;
}

function expire(): void {
  throw new Error("a call took longer than its deadline");
}

/** The toolkit's own layers, as a client has them, around an attempt that does the work. */
export function ours() {
  const whole = unaryMethod(method, composed(layers(), timed));
  const { run } = circuitBreaker(breaker);
  return {
    work: { title: "the work alone", call: () => work(request) },
    least: { title: "the work, a timer and two looks at the clock", call: least },
    deadline: through("deadline", pick("deadline"), timed),
    deadlineAndRetry: through("deadline + retry", pick("deadline", "retryOrHedge"), timed),
    pipeline: through("deadline + retry + breaker", layers(), timed),
    direct: through("… as over `createClient`, where grpc-js has the timer", layers(), untimed),
    whole: { title: "… as the application calls it", call: () => whole(request) },
    observed: through("… with an observer", layers(watch), timed),
    retry: through("retry by itself", pick("retryOrHedge"), untimed),
    hedge: hedged("hedge by itself, after a delay of 50 ms", { delayMs: 50 }),
    adaptive: hedged("… after the method's 95th percentile, here 1 ms", {}),
    breaker: through("breaker by itself", pick("breaker"), untimed),
    bulkhead: isolated("bulkhead by itself", { bulkhead: {} }),
    adaptiveLimit: isolated("adaptive limit by itself", { adaptiveLimit: {} }),
    both: isolated("bulkhead and adaptive limit", { bulkhead: {}, adaptiveLimit: {} }),
    throttle: isolated("client throttling by itself", { throttle: {} }),
    run: { title: "`circuitBreaker().run`", call: () => run(() => work(request)) },
  } satisfies Record<string, Subject>;
}

function hedged(title: string, hedge: HedgePolicy): Subject {
  const { retryOrHedge } = layersOf({ hedge }, systemClock, systemRandom);
  return through(title, retryOrHedge ? { retryOrHedge } : {}, untimed);
}

/** What isolates calls, and nothing else. */
function isolated(title: string, service: ServicePolicy): Subject {
  const { bulkhead, throttle } = layersOf({}, systemClock, systemRandom, undefined, service);
  return through(title, { ...(bulkhead && { bulkhead }), ...(throttle && { throttle }) }, untimed);
}

function pick(...places: Place[]): Layers {
  const all = layers();
  return Object.fromEntries(places.map((place) => [place, all[place]]));
}

function layers(observer?: Observer): Layers {
  return layersOf({ timeoutMs, retry, breaker }, systemClock, systemRandom, observer);
}

const seen = { events: 0 };

/** An observer that does next to nothing. */
function watch(): void {
  seen.events += 1;
}
