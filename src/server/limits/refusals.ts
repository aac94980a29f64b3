import { LONGEST_32_BIT_MS } from "../../core/check-options.ts";
import type { Criticality } from "../../core/criticality.ts";
import { PUSHBACK, REFUSED_TRAILER, RpcError } from "../../core/errors.ts";
import type { Random } from "../../core/random.ts";
import { withoutStack } from "../../core/without-stack.ts";
import type { RateLimit } from "./rate-limit-store.ts";

/** How long what matters waits at least and at most before it may be tried again after it was shed, in milliseconds. */
const SHED_PUSHBACK_MS = [100, 1_000] as const;

/** A call too many: its pushback is the time until its caller has a token again. */
export function rateLimited(path: string, { calls, perMs }: RateLimit, waitMs: number): RpcError {
  const afterMs = Math.ceil(waitMs);
  const details = `more calls than ${calls} in ${perMs} ms: the next one may be made in ${afterMs} ms`;
  return refusal(path, "RATE_LIMITED", details, afterMs <= LONGEST_32_BIT_MS ? afterMs : -1);
}

/**
 * A call that the server does not run because of load. What is sheddable is not to be tried again (pushback −1): whoever
 * makes such calls comes back in minutes or hours. What matters may be, after a time that chance spreads, so that those
 * who were refused together do not come back together.
 */
export function shed(path: string, criticality: Criticality, because: string, random: Random): RpcError {
  const [least, most] = SHED_PUSHBACK_MS;
  const matters = criticality === "critical" || criticality === "critical_plus";
  const pushbackMs = matters ? Math.round(least + random() * (most - least)) : -1;
  return refusal(path, "SHED", `the server has too much to do: ${because}`, pushbackMs);
}

function refusal(path: string, reason: "RATE_LIMITED" | "SHED", details: string, pushbackMs: number): RpcError {
  const sendTrailer = { [PUSHBACK]: String(pushbackMs), [REFUSED_TRAILER]: reason };
  return withoutStack(() => new RpcError({ path, reason, origin: "local", details, sendTrailer }));
}
