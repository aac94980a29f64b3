import type { FileDescriptorProto } from "@bufbuild/protobuf/wkt";
import type { Report } from "./report.ts";
import { type SourcePath, SourcePositions } from "./source-positions.ts";

/** A .proto file, and what there is to say about it. */
export class SourceFile {
  /** Its path as importers write it. */
  readonly name: string;
  readonly positions: SourcePositions;
  readonly #problems: Report;

  constructor(file: FileDescriptorProto, problems: Report) {
    this.name = file.name;
    this.positions = new SourcePositions(file);
    this.#problems = problems;
  }

  /** Something is wrong there: nothing will be generated. */
  problem(at: SourcePath, message: string): void {
    this.#problems.add(this.name, this.positions.locate(at), message);
  }
}
