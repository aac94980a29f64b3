import type { RecordValue } from "./policy-record.ts";

/** Where the formatter breaks lines. */
export const LINE_WIDTH = 120;

/**
 * Prints a value as TypeScript: on one line where it fits, else one entry per line.
 *
 * @param indent how far the line that it begins on is indented
 * @param taken how much of that line is taken already, indentation and what follows the value included
 */
export function printLiteral(value: RecordValue, indent: number, taken: number): string {
  const flat = printFlat(value);
  if (typeof value !== "object" || taken + flat.length <= LINE_WIDTH) return flat;
  const inner = indent + 2;
  const lines = isList(value)
    ? value.map((element) => printLiteral(element, inner, inner + 1))
    : Object.entries(value).map(([key, entry]) => `${key}: ${printLiteral(entry, inner, inner + key.length + 3)}`);
  const [open, close] = isList(value) ? "[]" : "{}";
  return `${open}\n${lines.map((line) => `${" ".repeat(inner)}${line},\n`).join("")}${" ".repeat(indent)}${close}`;
}

function printFlat(value: RecordValue): string {
  if (typeof value === "string") return JSON.stringify(value);
  if (typeof value === "number") return printNumber(value);
  if (typeof value === "boolean") return String(value);
  if (isList(value)) return `[${value.map(printFlat).join(", ")}]`;
  const entries = Object.entries(value).map(([key, entry]) => `${key}: ${printFlat(entry)}`);
  return entries.length === 0 ? "{}" : `{ ${entries.join(", ")} }`;
}

/** Whole numbers of four digits and more in groups of three. */
function printNumber(value: number): string {
  if (!Number.isSafeInteger(value)) return String(value);
  return String(value).replace(/\B(?=(\d{3})+$)/g, "_");
}

function isList(value: RecordValue): value is readonly RecordValue[] {
  return Array.isArray(value);
}
