/** Something that must hold, and whether it does. */
export interface Gate {
  readonly passes: boolean;
  readonly text: string;
}

/** A part of the report. */
export interface Section {
  readonly text: string;
  readonly gates: readonly Gate[];
}

/** A part of the report with what came of its gates below. */
export function toMarkdown({ text, gates }: Section): string {
  const lines = gates.map((gate) => `- ${gate.passes ? "pass" : "FAIL"}: ${gate.text}`);
  return `${text}\n\n${lines.join("\n")}`;
}

/** A table in Markdown; the first row is its head. */
export function table(rows: readonly (readonly string[])[]): string {
  const lines = rows.map((cells) => `| ${cells.join(" | ")} |`);
  const rule = `|${"---|".repeat(rows[0]?.length ?? 0)}`;
  return [...lines.slice(0, 1), rule, ...lines.slice(1)].join("\n");
}
