import type { FileDescriptorProto } from "@bufbuild/protobuf/wkt";

/** A place in a file; both count from 1, as editors do. */
export interface Position {
  readonly line: number;
  readonly column: number;
}

/**
 * The way to a part of a file, as `SourceCodeInfo.Location.path` has it: field numbers and indices of
 * `FileDescriptorProto`, from the outside in.
 */
export type SourcePath = readonly number[];

const START: Position = { line: 1, column: 1 };

/** Where the parts of one .proto file stand, and the comments on them, as the compiler noted it. */
export class SourcePositions {
  readonly #exact = new Map<string, Position>();
  readonly #firstWithin = new Map<string, Position>();
  readonly #children = new Map<string, Set<number>>();
  readonly #comments = new Map<string, string>();

  constructor(file: FileDescriptorProto) {
    for (const { path, span, leadingComments, trailingComments } of file.sourceCodeInfo?.location ?? []) {
      const key = path.join(".");
      const position = { line: (span[0] ?? 0) + 1, column: (span[1] ?? 0) + 1 };
      if (!this.#exact.has(key)) this.#exact.set(key, position);
      this.#noteWithin(path, position);
      const comment = leadingComments || trailingComments;
      if (comment) this.#comments.set(key, comment);
    }
  }

  /**
   * Where a part stands: where the compiler says so; else where the first thing within it stands, since compilers
   * give the fields of an option but not the message around them; else where the part around it stands, up to the
   * file, which stands where its first statement does.
   */
  locate(path: SourcePath): Position {
    for (let length = path.length; length >= 0; length--) {
      const key = path.slice(0, length).join(".");
      const position = this.#exact.get(key) ?? this.#firstWithin.get(key);
      if (position) return position;
    }
    return START;
  }

  /** The comment on a part, as the compiler gives it; empty if there is none. */
  comment(path: SourcePath): string {
    return this.#comments.get(path.join(".")) ?? "";
  }

  /** How many elements of a repeated field have places of their own: a list in brackets has one for all of its. */
  elements(path: SourcePath): number {
    return this.#children.get(path.join("."))?.size ?? 0;
  }

  #noteWithin(path: SourcePath, position: Position): void {
    for (const [index, part] of path.entries()) {
      const key = path.slice(0, index).join(".");
      const first = this.#firstWithin.get(key);
      if (!first || isBefore(position, first)) this.#firstWithin.set(key, position);
      const children = this.#children.get(key) ?? new Set();
      this.#children.set(key, children.add(part));
    }
  }
}

function isBefore(a: Position, b: Position): boolean {
  return a.line === b.line ? a.column < b.column : a.line < b.line;
}
