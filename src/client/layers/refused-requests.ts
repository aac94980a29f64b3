import type { RetryStop } from "../../core/attempts.ts";
import { RpcError } from "../../core/errors.ts";
import type { Method } from "../../core/method.ts";
import { Status } from "../../core/status.ts";
import type { FieldViolation } from "../../core/status-detail.ts";

/** A refusal of some of the requests of a batch. */
export interface RefusedRequests {
  readonly error: RpcError;
  /** What is wrong with them, by their place in the batch. */
  readonly violations: ReadonlyMap<number, readonly FieldViolation[]>;
}

/** A field of an entry: `requests[2].account_id`. */
const OF_ENTRY = /^([A-Za-z0-9_]+)\[(\d+)\]\.?(.*)$/s;

/**
 * Which requests of a batch a server refuses, where it says so of each: as validation does, with a `google.rpc.BadRequest`
 * of nothing but their fields. Undefined if the error is about anything else; one that names a request which is not there
 * is, since who counts otherwise means others by all that he names.
 *
 * @param requestsField the field that lists the requests, as ts-proto names it.
 * @param count how many there are.
 */
export function refusedRequests(error: unknown, requestsField: string, count: number): RefusedRequests | undefined {
  if (!(error instanceof RpcError) || error.code !== Status.INVALID_ARGUMENT) return undefined;
  const violations = new Map<number, FieldViolation[]>();
  for (const violation of error.statusDetail("google.rpc.BadRequest")?.fieldViolations ?? []) {
    const [, name = "", index, field = ""] = OF_ENTRY.exec(violation.field) ?? [];
    if (withoutUnderscores(name) !== requestsField.toLowerCase() || Number(index) >= count) return undefined;
    const of = violations.get(Number(index)) ?? [];
    violations.set(Number(index), [...of, { ...violation, field }]);
  }
  return violations.size > 0 ? { error, violations } : undefined;
}

/** What the call ends with whose request it was: the same, said of its own fields, and nothing of the others'. */
export function refusedError({ path }: Method, violations: readonly FieldViolation[]): RpcError {
  const details = violations.map(({ field, description }) => `${field} ${description}`.trim()).join("; ");
  const statusDetails = [{ $type: "google.rpc.BadRequest", fieldViolations: violations }] as const;
  return new RpcError({ path, reason: "STATUS", code: Status.INVALID_ARGUMENT, details, statusDetails });
}

/**
 * What the others end with, once their batch is not made again without those that were refused. It is nothing that
 * their requests are to blame for; what is wrong with the others' is not for them to read.
 */
export function othersRefused({ path }: Method, { attempts }: RpcError, retryStop: RetryStop): RpcError {
  const details = "other requests of the batch were refused, and with them the batch; nothing was said of this one";
  return new RpcError({ path, reason: "BATCH_REFUSED", details, attempts, retryStop });
}

/** ts-proto's names are the contract's in camel case. */
function withoutUnderscores(name: string): string {
  return name.replaceAll("_", "").toLowerCase();
}
