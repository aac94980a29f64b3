import { inspect } from "node:util";

const LONGEST = 200;

/** A value on one line, as a failed test shows it. */
export function show(value: unknown): string {
  const text = typeof value === "function" ? String(value) : inspect(value, { depth: 6, breakLength: Infinity });
  const line = text.replace(/\s+/g, " ");
  return line.length > LONGEST ? `${line.slice(0, LONGEST)}…` : line;
}
