import type { Position } from "./source-positions.ts";

interface Entry extends Position {
  readonly file: string;
  readonly message: string;
}

/**
 * What there is to say about .proto files, collected over all of them, so that it can be said at once: each in a line
 * of its own, `file:line:column: message`, which editors and terminals turn into links.
 */
export class Report {
  readonly #entries: Entry[] = [];

  /** Adds what is to be said about one place. */
  add(file: string, position: Position, message: string): void {
    this.#entries.push({ file, ...position, message });
  }

  /** All of it, by file, line and column. */
  lines(): string[] {
    const sorted = this.#entries.toSorted(byPlace);
    return sorted.map(({ file, line, column, message }) => `${file}:${line}:${column}: ${message}`);
  }
}

function byPlace(a: Entry, b: Entry): number {
  if (a.file !== b.file) return a.file < b.file ? -1 : 1;
  return a.line - b.line || a.column - b.column;
}
