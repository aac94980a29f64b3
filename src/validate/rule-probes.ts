import {
  clearExtension,
  clone,
  create,
  createFileRegistry,
  type DescField,
  type DescFile,
  type DescMessage,
  getOption,
  hasOption,
  setExtension,
} from "@bufbuild/protobuf";
import {
  type DescriptorProto,
  DescriptorProtoSchema,
  FieldOptionsSchema,
  type FileDescriptorProto,
  FileDescriptorProtoSchema,
  FileDescriptorSetSchema,
  MessageOptionsSchema,
} from "@bufbuild/protobuf/wkt";
import {
  type FieldRules,
  FieldRulesSchema,
  field as fieldRules,
  file_buf_validate_validate,
  type MessageRules,
  MessageRulesSchema,
  message as messageRules,
  oneof as oneofRules,
} from "@bufbuild/protovalidate/gen/buf/validate/validate_pb.js";
import { close } from "./ring-copies.ts";

/** One rule by itself, at a copy of its message that has no others, nor have the types of its fields. */
export interface RuleProbe {
  /** The message or field that it stands at. */
  readonly at: DescMessage | DescField;
  /** The rule's id, unless it is one of protovalidate's own. */
  readonly id: string | undefined;
  /** The copy. */
  readonly type: DescMessage;
}

/** A probe whose copy has no type yet. */
interface Planned extends Omit<RuleProbe, "type"> {
  readonly of: DescMessage;
  put(copy: DescriptorProto): void;
}

/** The rules of types, each by itself; the first error would end a check, and hide what comes after it. */
export function probesOf(types: readonly DescMessage[]): RuleProbe[] {
  const planned = types.flatMap((type) => [...messageProbes(type), ...type.fields.flatMap(fieldProbes)]);
  const files = new Set<DescFile>();
  for (const { file } of types) addImports(file, files);
  const copies = planned.map(({ of, put }, n) => copyInFile(of, put, n));
  const file = [...[...files].map(({ proto }) => withoutRules(proto)), ...copies];
  const registry = createFileRegistry(create(FileDescriptorSetSchema, { file }));
  return planned.map(({ at, id }, n) => {
    const type = registry.getMessage(probeName(n));
    if (!type) throw new Error(`a probe of ${at} has no type`);
    return { at, id, type };
  });
}

/** What a probe is called in messages of protovalidate's. */
function probeName(n: number): string {
  return `bowline.probe.P${n}`;
}

function messageProbes(type: DescMessage): Planned[] {
  if (!hasOption(type, messageRules)) return [];
  return eachRule(getOption(type, messageRules), (rules) => clone(MessageRulesSchema, rules)).map(({ id, rules }) => {
    const put = (copy: DescriptorProto) => {
      copy.options ??= create(MessageOptionsSchema);
      setExtension(copy.options, messageRules, rules);
    };
    return { at: type, id, of: type, put };
  });
}

function fieldProbes(field: DescField): Planned[] {
  if (!hasOption(field, fieldRules)) return [];
  return eachRule(getOption(field, fieldRules), (rules) => clone(FieldRulesSchema, rules)).map(({ id, rules }) => {
    const put = (copy: DescriptorProto) => {
      const own = copy.field.find(({ number }) => number === field.number);
      if (!own) return;
      own.options ??= create(FieldOptionsSchema);
      setExtension(own.options, fieldRules, rules);
    };
    return { at: field, id, of: field.parent, put };
  });
}

/** Each expression, and what protovalidate has by itself. */
function eachRule<Rules extends FieldRules | MessageRules>(all: Rules, copy: (rules: Rules) => Rules) {
  const { cel, celExpression } = all;
  const only = (chosen: Partial<FieldRules | MessageRules>) =>
    Object.assign(copy(all), { cel: [], celExpression: [] }, chosen);
  return [
    { id: undefined, rules: only({}) },
    ...cel.map((one) => ({ id: one.id, rules: only({ cel: [one] }) })),
    ...celExpression.map((one) => ({ id: one, rules: only({ celExpression: [one] }) })),
  ];
}

/** A message's copy, in a file of its own. */
function copyInFile(type: DescMessage, put: Planned["put"], n: number): FileDescriptorProto {
  const copy = clone(DescriptorProtoSchema, type.proto);
  copy.name = `P${n}`;
  copy.nestedType = copy.nestedType.filter(({ options }) => options?.mapEntry);
  clearRules(copy);
  for (const field of copy.field) {
    const entry = copy.nestedType.find(({ name }) => field.typeName === `.${type.typeName}.${name}`);
    if (entry) field.typeName = `.${probeName(n)}.${entry.name}`;
  }
  put(copy);
  const { name, dependency, syntax, edition, options } = type.file.proto;
  return create(FileDescriptorProtoSchema, {
    ...{ name: `bowline/probe/${n}.proto`, package: "bowline.probe", syntax, edition, messageType: [copy] },
    ...(options && { options }),
    dependency: [name, ...dependency],
  });
}

function withoutRules(file: FileDescriptorProto): FileDescriptorProto {
  if (!file.dependency.includes(file_buf_validate_validate.proto.name)) return file;
  const copy = clone(FileDescriptorProtoSchema, file);
  for (const message of copy.messageType) closeAll(message);
  return copy;
}

/** Closed, and not merely without rules: to plan many types that contain each other and themselves takes for ever. */
function closeAll(message: DescriptorProto): void {
  close(message);
  for (const nested of message.nestedType) closeAll(nested);
}

function clearRules(message: DescriptorProto): void {
  if (message.options) clearExtension(message.options, messageRules);
  for (const { options } of message.oneofDecl) if (options) clearExtension(options, oneofRules);
  for (const { options } of message.field) if (options) clearExtension(options, fieldRules);
  for (const nested of message.nestedType) clearRules(nested);
}

/** What a file imports comes before it. */
function addImports(file: DescFile, files: Set<DescFile>): void {
  if (files.has(file)) return;
  for (const imported of file.dependencies) addImports(imported, files);
  files.add(file);
}
