import { CASES, type Case, DIRECTIONS, TRANSPORTS } from "./cases.ts";
import { KNOWN, type KnownFailure, knownFailure } from "./known-failures.ts";
import { SMOKE_CASES } from "./smoke-cases.ts";
import { VERSIONS } from "./versions.ts";

/** What stands between a page's marks, by the marks' names. */
export function interopTables(): Readonly<Record<string, string>> {
  return { versions: versions(), cases: cases(), exceptions: exceptions(), programs: programs(), smoke: smoke() };
}

/** Why cases fail, each reason once, in the order of the list. */
const REASONS = [...new Set(KNOWN.cases.map(({ reason }) => reason))];

function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]) => `| ${cells.join(" | ")} |`;
  return [line(head), `|${head.map(() => "---|").join("")}`, ...rows.map(line)].join("\n");
}

function versions(): string {
  return Object.entries(VERSIONS)
    .map(([name, version]) => `${name} ${version}`)
    .join(", ");
}

function cases(): string {
  const columns = DIRECTIONS.flatMap((direction) => TRANSPORTS.map((transport) => ({ direction, transport })));
  const head = columns.map(({ direction, transport }) => `${direction}, ${transport}`);
  const outcome = (name: Case) =>
    columns.map(({ direction, transport }) => outcomeOf(knownFailure(name, direction, transport)));
  return table(
    ["case", ...head],
    CASES.map((name) => [`\`${name}\``, ...outcome(name)]),
  );
}

function outcomeOf(known: KnownFailure | undefined): string {
  if (!known) return "passes";
  const number = REASONS.indexOf(known.reason) + 1;
  return known.symptom === undefined ? `not executed (${number})` : `fails (${number})`;
}

function exceptions(): string {
  return REASONS.map((reason, index) => `${index + 1}. ${reason}`).join("\n");
}

function programs(): string {
  const head = ["program", "over", "why not", "instead"];
  const rows = KNOWN.programs.map(({ program, transport, reason, instead }) => [
    `\`${program}\``,
    transport,
    reason,
    `\`${instead}\``,
  ]);
  return table(head, rows);
}

function smoke(): string {
  return SMOKE_CASES.map((name) => name.replace("_", " ")).join(", ");
}
