/** One line of the table, cell by cell. */
export type Line = readonly string[];

/** How a column is set. */
export interface Column {
  readonly title: string;
  /** Default: left. */
  readonly align?: "left" | "right";
  /** Longer cells are broken into several lines. Default: as wide as its longest cell. */
  readonly maxWidth?: number;
}

/** Sets a table in plain text. */
export function formatTable(columns: readonly Column[], lines: readonly Line[]): string {
  const rows = lines.map((line) => columns.map((column, i) => wrap(line[i] ?? "", column.maxWidth)));
  const widths = columns.map(({ title }, i) =>
    Math.max(title.length, ...rows.flatMap((cells) => (cells[i] ?? []).map((part) => part.length))),
  );
  const set = (cells: readonly string[]) =>
    cells
      .map((cell, i) => (columns[i]?.align === "right" ? cell.padStart(widths[i] ?? 0) : cell.padEnd(widths[i] ?? 0)))
      .join("  ")
      .trimEnd();
  const rule = widths.map((width) => "─".repeat(width)).join("──");
  const body = rows.map((cells) => {
    const height = Math.max(...cells.map((parts) => parts.length));
    return Array.from({ length: height }, (_, n) => set(cells.map((parts) => parts[n] ?? ""))).join("\n");
  });
  return [set(columns.map(({ title }) => title)), rule, body.join(`\n${rule}\n`), rule].join("\n");
}

function wrap(text: string, maxWidth = Number.POSITIVE_INFINITY): string[] {
  const lines: string[] = [""];
  for (const word of text.split(" ")) {
    const last = lines.at(-1) ?? "";
    if (last === "") lines[lines.length - 1] = word;
    else if (last.length + 1 + word.length <= maxWidth) lines[lines.length - 1] = `${last} ${word}`;
    else lines.push(word);
  }
  return lines;
}

/** Below which a share of the durations lies, with one decimal; a dash if there are none. */
export function quantile(durationsMs: readonly number[], q: number): string {
  const sorted = durationsMs.toSorted((a, b) => a - b);
  return sorted[Math.max(0, Math.ceil(q * sorted.length) - 1)]?.toFixed(1) ?? "–";
}
