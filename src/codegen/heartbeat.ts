import { type DescMethod, ScalarType } from "@bufbuild/protobuf";
import type { HeartbeatAccess } from "../contract/cursor.ts";
import type { HeartbeatPolicy } from "../contract/policy.ts";
import type { Problem } from "../contract/value-checks.ts";
import { type FieldRole, findField, oneScalar } from "./named-field.ts";
import { fieldName } from "./names.ts";
import type { TsProtoOptions } from "./plugin-options.ts";

const MARK: FieldRole = {
  path: ["heartbeat", "field"],
  option: "heartbeat.field",
  does: "marks a heartbeat",
  what: "a heartbeat",
  type: oneScalar(ScalarType.BOOL),
};

/**
 * Finds the field that `heartbeat` names, and tells why it cannot mark one. It may be the progress marker of `resume`
 * too: neither is delivered, and resume looks at the position of both.
 */
export function readHeartbeat(
  { output }: DescMethod,
  heartbeat: Partial<HeartbeatPolicy>,
  options: TsProtoOptions,
): { readonly heartbeat?: HeartbeatAccess; readonly problems: readonly Problem[] } {
  const problems: Problem[] = [];
  const field = findField(output, heartbeat.field, MARK, problems);
  return field ? { heartbeat: { field: fieldName(field, options) }, problems } : { problems };
}
