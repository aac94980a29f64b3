import {
  type CircuitBreakerPolicy,
  circuitBreaker,
  ExponentialBackoff,
  handleAll,
  type RetryPolicy,
  retry,
  SamplingBreaker,
  TimeoutStrategy,
  timeout,
  wrap,
} from "cockatiel";
import CircuitBreaker from "opossum";
import { request, type Subject, settings, work } from "./subject.ts";

/** A call, as cockatiel's policies are handed one. */
const asked = () => work(request);

/** cockatiel's policies, each by itself and wrapped around each other. */
export function cockatiel(): Record<"breaker" | "retry" | "timeout" | "wrap", Subject> {
  // The cheaper of its two strategies: it only aborts the signal that the work is handed.
  const limit = timeout(settings.timeoutMs, TimeoutStrategy.Cooperative);
  const guard = breaker();
  const again = retrying();
  const all = wrap(retrying(), breaker(), limit);
  return {
    breaker: { title: "cockatiel: breaker", call: () => guard.execute(asked) },
    retry: { title: "cockatiel: retry", call: () => again.execute(asked) },
    timeout: { title: "cockatiel: timeout", call: () => limit.execute(asked) },
    wrap: { title: "cockatiel: `wrap(retry, breaker, timeout)`", call: () => all.execute(asked) },
  };
}

function retrying(): RetryPolicy {
  const { initialBackoffMs, maxBackoffMs, maxAttempts } = settings;
  const backoff = new ExponentialBackoff({ initialDelay: initialBackoffMs, maxDelay: maxBackoffMs });
  return retry(handleAll, { maxAttempts: maxAttempts - 1, backoff });
}

function breaker(): CircuitBreakerPolicy {
  const { failureRatio, windowMs, minimumCalls, openMs } = settings;
  const minimumRps = minimumCalls / (windowMs / 1_000);
  const sampling = new SamplingBreaker({ threshold: failureRatio, duration: windowMs, minimumRps });
  return circuitBreaker(handleAll, { halfOpenAfter: openMs, breaker: sampling });
}

/** opossum's breaker, which has the timeout in it, with and without one. Its timers run until `stop`. */
export function opossum(): { readonly withTimeout: Subject; readonly without: Subject; stop(): void } {
  const { timeoutMs, failureRatio, windowMs, minimumCalls, openMs } = settings;
  const options = {
    resetTimeout: openMs,
    errorThresholdPercentage: failureRatio * 100,
    rollingCountTimeout: windowMs,
    volumeThreshold: minimumCalls,
  };
  const timed = new CircuitBreaker(work, { ...options, timeout: timeoutMs });
  const untimed = new CircuitBreaker(work, { ...options, timeout: false });
  return {
    withTimeout: { title: "opossum: breaker with timeout", call: () => timed.fire(request) },
    without: { title: "opossum: breaker without timeout", call: () => untimed.fire(request) },
    stop() {
      timed.shutdown();
      untimed.shutdown();
    },
  };
}
