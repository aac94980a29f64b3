import { create, createFileRegistry, type DescFile } from "@bufbuild/protobuf";
import {
  type CodeGeneratorRequest,
  type CodeGeneratorResponse,
  CodeGeneratorResponseSchema,
  Edition,
  CodeGeneratorResponse_Feature as Feature,
  type FileDescriptorProto,
  FileDescriptorSetSchema,
} from "@bufbuild/protobuf/wkt";
import { checkNames } from "./check-names.ts";
import { closure, descriptorSet } from "./files.ts";
import { readPluginOptions, type TsProtoOptions } from "./plugin-options.ts";
import { contractFileName, printContracts } from "./print-contract.ts";
import { Report } from "./report.ts";
import { ContractReader, type ServiceContract } from "./service-contract.ts";
import { SourceFile } from "./source-file.ts";

// The field of FileDescriptorProto.
const EDITION = 14;
const EDITIONS_REFUSED =
  'editions are not supported: ts-proto ignores their features and would write other bytes; say syntax = "proto3"';
/** What protobuf-es can read; newer files are refused like all editions, and not looked into. */
const NEWEST_READABLE = Edition.EDITION_2024;

interface FileContracts {
  readonly desc: DescFile;
  readonly services: readonly ServiceContract[];
}

/**
 * The plugin: a pure function from what the compiler asks to what it is answered. The same contracts give the same
 * bytes, in whatever order the compiler lists its files.
 *
 * @returns the files, or an error that lists all that is wrong, a line each; never both.
 */
export function generate(request: CodeGeneratorRequest): CodeGeneratorResponse {
  const { options, problems } = readPluginOptions(request.parameter);
  const files = new Map(request.protoFile.map((file) => [file.name, file]));
  const found = new Report();
  const contracts = readContracts(request.fileToGenerate, files, options, (file) => new SourceFile(file, found));
  const wrong = [...problems, ...found.lines()];
  if (wrong.length > 0) return refusal(wrong);
  const file = contracts.map(({ desc, services }) => ({
    name: contractFileName(desc.proto.name),
    content: printContracts(desc, services, descriptorSet(desc.proto.name, files), options),
  }));
  return create(CodeGeneratorResponseSchema, { ...FEATURES, file });
}

/** Editions are declared as supported, so that they reach us and are refused with a reason and a position. */
const FEATURES = {
  supportedFeatures: BigInt(Feature.PROTO3_OPTIONAL | Feature.SUPPORTS_EDITIONS),
  minimumEdition: Edition.EDITION_PROTO2,
  maximumEdition: Edition.EDITION_MAX,
};

/** The compiler puts something before the first line of an error, so that line is one of its own. */
function refusal(problems: readonly string[]): CodeGeneratorResponse {
  const count = problems.length === 1 ? "1 problem" : `${problems.length} problems`;
  return create(CodeGeneratorResponseSchema, { ...FEATURES, error: [count, ...problems].join("\n") });
}

function readContracts(
  names: readonly string[],
  files: ReadonlyMap<string, FileDescriptorProto>,
  options: TsProtoOptions,
  open: (file: FileDescriptorProto) => SourceFile,
): FileContracts[] {
  const sorted = names.toSorted();
  const needed = closure(sorted, files);
  for (const file of needed) if (file.syntax === "editions") open(file).problem([EDITION], EDITIONS_REFUSED);
  const readable = needed.filter(({ name }) =>
    closure([name], files).every(({ edition }) => edition <= NEWEST_READABLE),
  );
  const registry = createFileRegistry(create(FileDescriptorSetSchema, { file: readable }));
  const reader = new ContractReader(registry, options);
  return sorted.flatMap((name) => {
    const desc = registry.getFile(name);
    if (!desc) return [];
    const file = open(desc.proto);
    checkNames(desc, options, file);
    if (desc.services.length === 0) return [];
    return [{ desc, services: desc.services.map((service, index) => reader.service(service, index, file)) }];
  });
}
