import { RpcError } from "../../core/errors.ts";
import type { Method } from "../../core/method.ts";
import { Status } from "../../core/status.ts";
import type { FieldViolation } from "../../core/status-detail.ts";

/** What is wrong with the requests of a batch, by their place in it. */
export type RefusedRequests = ReadonlyMap<number, readonly FieldViolation[]>;

const NONE: RefusedRequests = new Map();

/** A field of an entry: `requests[2].account_id`. */
const OF_ENTRY = /^([A-Za-z0-9_]+)\[(\d+)\]\.?(.*)$/s;

/**
 * Which requests of a batch a server refuses, where it says so of each: as validation does, with a `google.rpc.BadRequest`
 * of nothing but their fields. Empty if the error is about anything else.
 *
 * @param requestsField the field that lists the requests, as ts-proto names it.
 */
export function refusedRequests(error: unknown, requestsField: string): RefusedRequests {
  if (!(error instanceof RpcError) || error.code !== Status.INVALID_ARGUMENT) return NONE;
  const found = new Map<number, FieldViolation[]>();
  for (const violation of error.statusDetail("google.rpc.BadRequest")?.fieldViolations ?? []) {
    const [, name = "", index, field = ""] = OF_ENTRY.exec(violation.field) ?? [];
    if (withoutUnderscores(name) !== requestsField.toLowerCase()) return NONE;
    const of = found.get(Number(index)) ?? [];
    found.set(Number(index), [...of, { ...violation, field }]);
  }
  return found;
}

/** What the call ends with whose request it was: the same, said of its own fields. */
export function refusedError({ path }: Method, violations: readonly FieldViolation[], cause: unknown): RpcError {
  const details = violations.map(({ field, description }) => `${field} ${description}`.trim()).join("; ");
  const statusDetails = [{ $type: "google.rpc.BadRequest", fieldViolations: violations }] as const;
  return new RpcError({ path, reason: "STATUS", code: Status.INVALID_ARGUMENT, details, statusDetails, cause });
}

/** ts-proto's names are the contract's in camel case. */
function withoutUnderscores(name: string): string {
  return name.replaceAll("_", "").toLowerCase();
}
