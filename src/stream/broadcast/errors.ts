import { RpcError } from "../../core/errors.ts";
import { Status } from "../../core/status.ts";

/**
 * What a subscriber ends with that reads too slowly. RESOURCE_EXHAUSTED, because it says something of this subscriber
 * and nothing of the server, which UNAVAILABLE would: proxies and balancers take servers out for that.
 */
export function slowSubscriber(lag: number, held: number): RpcError {
  const details = `the subscriber is ${lag} messages behind, more than the ${held} in memory`;
  return new RpcError({ path: "", reason: "SLOW_SUBSCRIBER", details });
}

/** What a subscriber ends with whose cursor nobody reaches back to (rule S3). */
export function cursorGone(cursor: unknown): RpcError {
  const details = `what came after ${String(cursor)} is no longer kept`;
  return new RpcError({ path: "", reason: "REFUSED", code: Status.OUT_OF_RANGE, details });
}
