import { clone, create, toBinary } from "@bufbuild/protobuf";
import { type FileDescriptorProto, FileDescriptorProtoSchema, FileDescriptorSetSchema } from "@bufbuild/protobuf/wkt";

/** What every server has and no contract carries: protobuf's own files, and the toolkit's options. */
const EVERYWHERE = ["google/protobuf/", "bowline/v1/"];

/**
 * Files and all that they import, each after what it imports itself. The order rests on the names and the imports,
 * not on the order of `files`.
 */
export function closure(
  names: readonly string[],
  files: ReadonlyMap<string, FileDescriptorProto>,
): FileDescriptorProto[] {
  const ordered = new Map<string, FileDescriptorProto>();
  const visit = (at: string) => {
    const file = files.get(at);
    if (!file || ordered.has(at)) return;
    for (const dependency of file.dependency) visit(dependency);
    ordered.set(at, file);
  };
  for (const name of names) visit(name);
  return [...ordered.values()];
}

/**
 * What reflection needs of a file: a `FileDescriptorSet` of its closure in base64, without comments and positions
 * and without the files that every server has.
 */
export function descriptorSet(name: string, files: ReadonlyMap<string, FileDescriptorProto>): string {
  const file = closure([name], files)
    .filter(({ name }) => !EVERYWHERE.some((folder) => name.startsWith(folder)))
    .map(withoutSourceInfo);
  return Buffer.from(toBinary(FileDescriptorSetSchema, create(FileDescriptorSetSchema, { file }))).toString("base64");
}

function withoutSourceInfo(file: FileDescriptorProto): FileDescriptorProto {
  const copy = clone(FileDescriptorProtoSchema, file);
  delete copy.sourceCodeInfo;
  return copy;
}
