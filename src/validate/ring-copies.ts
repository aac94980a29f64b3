import {
  clearExtension,
  clone,
  create,
  createFileRegistry,
  type DescMessage,
  type FileRegistry,
  setExtension,
} from "@bufbuild/protobuf";
import {
  type DescriptorProto,
  DescriptorProtoSchema,
  FieldOptionsSchema,
  type FileDescriptorProto,
  FileDescriptorProtoSchema,
  FileDescriptorSetSchema,
} from "@bufbuild/protobuf/wkt";
import {
  FieldRulesSchema,
  field as fieldRules,
  Ignore,
  message as messageRules,
  oneof as oneofRules,
} from "@bufbuild/protovalidate/gen/buf/validate/validate_pb.js";

/**
 * Copies of types to evaluate a message by that is not to be evaluated into the rings that it holds: in a type's copy
 * other types of rings are closed, which is that they have no constraints, nor has what is in them. They have all their
 * fields, as rules of the type itself may ask for these. Each copy is made once.
 */
export function ringCopies(
  registry: FileRegistry,
  rings: ReadonlySet<DescMessage>,
): (type: DescMessage) => DescMessage {
  const closed = new Set([...rings].map(({ typeName }) => typeName));
  const file = [...registry.files].map(({ proto }) => closedCopy(proto, closed));
  const others = createFileRegistry(create(FileDescriptorSetSchema, { file }));
  const copies = new Map<DescMessage, DescMessage>();
  return (type) => {
    const { typeName } = type;
    const own = () => createFileRegistry(fileOf(type, closed), (name) => others.getFile(name));
    const copy = copies.get(type) ?? (rings.has(type) ? own() : others).getMessage(typeName);
    if (!copy) throw new Error(`${typeName} has no copy`);
    copies.set(type, copy);
    return copy;
  };
}

/**
 * A type that is not closed, in a file of its own. In it the type's name is the copy's, elsewhere that of the closed one,
 * of which there is one for all: protovalidate plans each type that it comes to, and a file may have hundreds.
 */
function fileOf(type: DescMessage, closed: ReadonlySet<string>): FileDescriptorProto {
  const { name, dependency, package: scope, syntax, edition, options } = type.file.proto;
  const message = clone(DescriptorProtoSchema, outermost(type).proto);
  closeTypes([message], scopeOf(scope), new Set([...closed].filter((one) => one !== type.typeName)));
  return create(FileDescriptorProtoSchema, {
    ...{ name: `bowline/open/${type.typeName}.proto`, package: scope, syntax, edition, messageType: [message] },
    ...(options && { options }),
    dependency: [name, ...dependency],
  });
}

function outermost(type: DescMessage): DescMessage {
  return type.parent ? outermost(type.parent) : type;
}

function scopeOf(packageName: string): string {
  return packageName === "" ? "" : `${packageName}.`;
}

function closedCopy(file: FileDescriptorProto, closed: ReadonlySet<string>): FileDescriptorProto {
  const copy = clone(FileDescriptorProtoSchema, file);
  closeTypes(copy.messageType, scopeOf(file.package), closed);
  return copy;
}

function closeTypes(messages: readonly DescriptorProto[], scope: string, closed: ReadonlySet<string>): void {
  for (const message of messages) {
    const name = scope + message.name;
    if (closed.has(name)) close(message);
    closeTypes(message.nestedType, `${name}.`, closed);
  }
}

/** Takes a type's constraints, and lets no check through to what is in its messages. */
export function close({ options, oneofDecl, field }: DescriptorProto): void {
  if (options) clearExtension(options, messageRules);
  for (const { options } of oneofDecl) if (options) clearExtension(options, oneofRules);
  for (const one of field) {
    one.options ??= create(FieldOptionsSchema);
    setExtension(one.options, fieldRules, create(FieldRulesSchema, { ignore: Ignore.ALWAYS }));
  }
}
