import type { Problem } from "../../contract/value-checks.ts";
import { type OptionCheck, show } from "../../core/check-options.ts";

/** Settings by their names, and records of settings. */
export type Fields = Readonly<Record<string, unknown>>;

/** What an object may say, by name: settings, and further objects. */
export interface Shape {
  readonly fields: Readonly<Record<string, OptionCheck | Shape>>;
  /** Why `null` cannot take it away; undefined if it can. */
  readonly stays?: string;
}

/** What was said, as far as it is sound, and what is wrong with the rest. A figure that is none is NaN among the sound. */
export interface Checked {
  readonly sound: Fields;
  readonly problems: readonly Problem[];
}

/**
 * Takes out of an object what has no such name, or is of another kind than what has it. It is read once, and copied: it
 * belongs to the application.
 */
export function checkShape(said: unknown, { fields }: Shape, path: readonly string[] = []): Checked {
  if (!isRecord(said))
    return { sound: {}, problems: [{ path, message: `must be a plain object; it is ${shown(said)}` }] };
  const sound: Record<string, unknown> = {};
  const problems: Problem[] = [];
  for (const [name, value] of Object.entries(said)) {
    if (value === undefined) continue;
    const field = Object.hasOwn(fields, name) ? fields[name] : undefined;
    const checked = checkField(value, field, Object.keys(fields), [...path, name]);
    problems.push(...checked.problems);
    if ("sound" in checked) sound[name] = checked.sound;
  }
  return { sound, problems };
}

function checkField(
  value: unknown,
  field: OptionCheck | Shape | undefined,
  known: readonly string[],
  path: readonly string[],
): { readonly sound?: unknown; readonly problems: readonly Problem[] } {
  if (!field)
    return { problems: [{ path, message: `there is none of this name; there are ${known.join(", ") || "none"}` }] };
  if (typeof field === "object" && (value !== null || field.stays === undefined)) {
    return value === null ? { sound: null, problems: [] } : checkShape(value, field, path);
  }
  const message = typeof field === "object" ? field.stays : value === null ? undefined : field(value);
  if (message !== undefined) return { ...(field === isFigure && UNFIT), problems: [{ path, message }] };
  return { sound: Array.isArray(value) ? [...value] : value, problems: [] };
}

/** A figure has been said, and is neither too large nor too small for another one. */
const UNFIT = { sound: Number.NaN };

/** No list, map or date: these have no settings, and would say nothing. */
function isRecord(value: unknown): value is Fields {
  return Object.prototype.toString.call(value) === "[object Object]";
}

/** Neither NaN passes for a number, nor Infinity, which no contract can say. */
export const isFigure: OptionCheck = (value) =>
  Number.isFinite(value) ? undefined : `must be a number; it is ${shown(value)}`;

/** Statuses, by name or number; which there are is for the policy's own check. */
export const areStatuses: OptionCheck = (value) =>
  Array.isArray(value) && value.every((status) => typeof status === "string" || Number.isInteger(status))
    ? undefined
    : `must be a list of statuses; it is ${shown(value)}`;

function shown(value: unknown): string {
  return typeof value === "object" && value !== null ? Object.prototype.toString.call(value) : show(value);
}
