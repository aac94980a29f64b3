import { clone, create, toBinary } from "@bufbuild/protobuf";
import { type FileDescriptorProto, FileDescriptorProtoSchema, FileDescriptorSetSchema } from "@bufbuild/protobuf/wkt";

const WELL_KNOWN = "any api descriptor duration empty field_mask source_context struct timestamp type wrappers";

/**
 * The files that no contract carries: protobuf's well-known ones and the toolkit's options, which every server has, and
 * protovalidate's, which comes with what evaluates it.
 */
export const EVERYWHERE: ReadonlySet<string> = new Set([
  ...WELL_KNOWN.split(" ").map((name) => `google/protobuf/${name}.proto`),
  "bowline/v1/options.proto",
  "buf/validate/validate.proto",
]);

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
 * and without the files that servers have.
 */
export function descriptorSet(name: string, files: ReadonlyMap<string, FileDescriptorProto>): string {
  const file = closure([name], files)
    .filter(({ name }) => !EVERYWHERE.has(name))
    .map(withoutSourceInfo);
  return Buffer.from(toBinary(FileDescriptorSetSchema, create(FileDescriptorSetSchema, { file }))).toString("base64");
}

function withoutSourceInfo(file: FileDescriptorProto): FileDescriptorProto {
  const copy = clone(FileDescriptorProtoSchema, file);
  delete copy.sourceCodeInfo;
  return copy;
}
