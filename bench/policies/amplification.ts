import { unaryMethod } from "../../src/client/invoke.ts";
import { retryLayer } from "../../src/client/layers/retry.ts";
import type { Layers } from "../../src/client/pipeline.ts";
import { resolveRetry } from "../../src/contract/resolve.ts";
import type { UnaryHandler } from "../../src/core/call.ts";
import { sleep } from "../../src/core/clock.ts";
import { RpcError } from "../../src/core/errors.ts";
import type { Random } from "../../src/core/random.ts";
import { Status } from "../../src/core/status.ts";
import { RetryBudget } from "../../src/policy/retry-budget.ts";
import { RetryThrottling } from "../../src/policy/retry-throttling.ts";
import { seededRandom } from "../../src/testing/index.ts";
import { composed, layersOf, method } from "./get-order.ts";
import { reply } from "./subject.ts";
import { VirtualClock } from "./virtual-clock.ts";

/** What the calls of one run came to, once it had settled. */
export interface Amplification {
  readonly attemptsPerCall: number;
  readonly successShare: number;
}

/** What clients do about failures. */
export type StrategyName = "none" | "unlimited" | "retry" | "retryAndBreaker";

/** Makes the layers of one client. */
type Strategy = (clock: VirtualClock, random: Random) => Layers;

const retry = { maxAttempts: 3 };

const strategies: Readonly<Record<StrategyName, Strategy>> = {
  none: () => ({}),
  unlimited(clock, random) {
    const throttling = new RetryThrottling({ maxTokens: Number.MAX_SAFE_INTEGER / 1_000, tokenRatio: 1 });
    const budget = new RetryBudget({ ratio: 1, windowMs: 10_000, minInFlight: Number.POSITIVE_INFINITY }, clock);
    const context = {
      options: resolveRetry(retry),
      share: { throttling, budget },
      clock,
      random,
      report: undefined,
      closed: undefined,
    };
    return { retryOrHedge: retryLayer(context) };
  },
  retry: (clock, random) => layersOf({ retry, breaker: { disabled: true } }, clock, random),
  retryAndBreaker: (clock, random) => layersOf({ retry }, clock, random),
};

// The reference's load: 100 clients of 10 calls per second each. An attempt takes 10 ms.
const CLIENTS = 100;
const CALLS_PER_MS = 0.01;
const ATTEMPT_MS = 10;
const SETTLE_MS = 100_000;
const MEASURE_MS = 50_000;

/** Runs clients of one strategy against a server at which a share of all attempts fails by chance. */
export async function simulate(name: StrategyName, failureRatio: number, seed: number): Promise<Amplification> {
  const clock = new VirtualClock();
  const random = seededRandom(seed);
  let [calls, attempts, successes] = [0, 0, 0];
  const attempt: UnaryHandler = async () => {
    attempts += 1;
    await sleep(clock, ATTEMPT_MS);
    if (random() < failureRatio) throw unavailable();
    return reply;
  };
  const succeeded = () => {
    successes += 1;
  };
  const client = () => unaryMethod(method, composed(strategies[name](clock, random), attempt), clock);
  const clients = Array.from({ length: CLIENTS }, client);
  while (clock.now() < SETTLE_MS + MEASURE_MS) {
    if (clock.now() === SETTLE_MS) [calls, attempts, successes] = [0, 0, 0];
    const calling = clients.filter(() => random() < CALLS_PER_MS);
    calls += calling.length;
    for (const call of calling) call({}).then(succeeded, () => {});
    await clock.step();
  }
  return { attemptsPerCall: attempts / calls, successShare: successes / calls };
}

function unavailable(): RpcError {
  return new RpcError({ path: method.path, reason: "STATUS", code: Status.UNAVAILABLE, details: "by chance" });
}
