import { LINE_WIDTH, printLines } from "./layout.ts";
import type { RecordValue } from "./policy-record.ts";

/**
 * Prints a value as TypeScript: on one line where it fits, else an entry per line.
 *
 * @param margin how far the line that it begins on is indented
 * @param taken how much of that line is taken, its indentation and what follows the value included
 */
export function printLiteral(value: RecordValue, margin: number, taken: number): string {
  const flat = printFlat(value);
  if (typeof value !== "object" || taken + flat.length <= LINE_WIDTH) return flat;
  const inner = margin + 2;
  const lines = isList(value)
    ? value.map((element) => printLiteral(element, inner, inner + 1))
    : Object.entries(value).map(([key, entry]) => `${key}: ${printLiteral(entry, inner, inner + key.length + 3)}`);
  return isList(value) ? printLines("[", lines, "]") : printLines("{", lines, "}");
}

/** A string literal. */
export function printString(text: string): string {
  return JSON.stringify(text);
}

/** A property's key in an object literal: a `json_name` may be anything. */
export function printKey(name: string): string {
  return isIdentifier(name) ? name : printString(name);
}

/** The access to a property. */
export function printMember(name: string): string {
  return isIdentifier(name) ? `.${name}` : `[${printString(name)}]`;
}

function isIdentifier(name: string): boolean {
  return /^[A-Za-z_$][\w$]*$/.test(name);
}

function printFlat(value: RecordValue): string {
  if (typeof value === "string") return printString(value);
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
