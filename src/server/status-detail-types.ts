import { create, type MessageInitShape } from "@bufbuild/protobuf";
import {
  type DescriptorProtoSchema,
  type FieldDescriptorProtoSchema,
  type FileDescriptorProto,
  FileDescriptorProtoSchema,
  FieldDescriptorProto_Label as Label,
  MessageOptionsSchema,
  FieldDescriptorProto_Type as Type,
} from "@bufbuild/protobuf/wkt";
import { LABEL, type Shape } from "../core/proto-shape.ts";
import { DETAIL_SHAPES } from "../core/status-detail-codec.ts";

type Field = Shape[string];
type FieldInit = MessageInitShape<typeof FieldDescriptorProtoSchema>;
type MessageInit = MessageInitShape<typeof DescriptorProtoSchema>;

/**
 * google/rpc/error_details.proto, as far as reflection tells it: grpcurl shows what the details of an error say, and not
 * their bytes. Contracts seldom import it; those that do bring their own.
 */
export function statusDetailTypes(): FileDescriptorProto {
  return create(FileDescriptorProtoSchema, {
    name: "google/rpc/error_details.proto",
    package: "google.rpc",
    syntax: "proto3",
    dependency: ["google/protobuf/duration.proto"],
    messageType: Object.entries(DETAIL_SHAPES).map(([name, shape]) => message(`.${name}`, shape)),
  });
}

/** @param path the message's full name after a dot, as descriptors refer to types. */
function message(path: string, shape: Shape): MessageInit {
  const fields = Object.entries(shape);
  const optional = fields.flatMap(([key, { optional }]) => (optional ? [key] : []));
  return {
    name: lastOf(path),
    field: fields.map(([key, field]) => ({
      ...typed(path, key, field),
      ...(field.optional && { proto3Optional: true, oneofIndex: optional.indexOf(key) }),
    })),
    nestedType: fields.flatMap(([key, field]) => nested(path, key, field) ?? []),
    // In proto3 what may be missing is a choice of one.
    oneofDecl: optional.map((key) => ({ name: `_${snakeCase(key)}` })),
  };
}

function typed(path: string, key: string, { number, type, many }: Field): FieldInit {
  // A duration's field does not say the unit that it has here.
  const jsonName = type === "milliseconds" ? key.replace(/Ms$/, "") : key;
  const label = many || type === "labels" ? Label.REPEATED : Label.OPTIONAL;
  const known = { name: snakeCase(jsonName), jsonName, number, label };
  if (type === "text") return { ...known, type: Type.STRING };
  if (type === "bytes") return { ...known, type: Type.BYTES };
  if (type === "int64") return { ...known, type: Type.INT64 };
  const typeName = type === "milliseconds" ? ".google.protobuf.Duration" : typeNameOf(path, key, type);
  return { ...known, type: Type.MESSAGE, typeName };
}

/** The type that is declared within a message for one of its fields. */
function nested(path: string, key: string, { type }: Field): MessageInit | undefined {
  if (type === "labels") return { ...message(typeNameOf(path, key, type), LABEL), options: MAP_ENTRY };
  return typeof type === "string" || standalone(type) ? undefined : message(typeNameOf(path, key, type), type);
}

const MAP_ENTRY = create(MessageOptionsSchema, { mapEntry: true });

/** `violations` are each a `Violation`, `metadata` has a `MetadataEntry` for each. */
function typeNameOf(path: string, key: string, type: Shape | "labels"): string {
  if (type === "labels") return `${path}.${capitalised(key)}Entry`;
  return standalone(type) ?? `${path}.${capitalised(key.replace(/s$/, ""))}`;
}

/** The name of a type that stands for itself. */
function standalone(type: Shape): string | undefined {
  const found = Object.entries(DETAIL_SHAPES).find(([, shape]) => shape === type);
  return found && `.${found[0]}`;
}

function lastOf(path: string): string {
  return path.slice(path.lastIndexOf(".") + 1);
}

function capitalised(word: string): string {
  return word.charAt(0).toUpperCase() + word.slice(1);
}

function snakeCase(name: string): string {
  return name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
}
