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
    // What its file imports cannot come back to it.
    const own = () => {
      const proto = closedCopy(type.file.proto, new Set([...closed].filter((name) => name !== typeName)));
      return createFileRegistry(proto, (name) => others.getFile(name));
    };
    const copy = copies.get(type) ?? (rings.has(type) ? own() : others).getMessage(typeName);
    if (!copy) throw new Error(`${typeName} has no copy`);
    copies.set(type, copy);
    return copy;
  };
}

function closedCopy(file: FileDescriptorProto, closed: ReadonlySet<string>): FileDescriptorProto {
  const copy = clone(FileDescriptorProtoSchema, file);
  closeTypes(copy.messageType, file.package === "" ? "" : `${file.package}.`, closed);
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
