import {
  clone,
  createFileRegistry,
  type DescExtension,
  type DescFile,
  type FileRegistry,
  fromBinary,
  toBinary,
} from "@bufbuild/protobuf";
import { base64Decode } from "@bufbuild/protobuf/wire";
import * as wkt from "@bufbuild/protobuf/wkt";
import { file_bowline_v1_options } from "../../gen/bowline/v1/options_pb.ts";
import type { Contract } from "../contract/contract.ts";
import { statusDetailTypes } from "./status-detail-types.ts";

/** The files that contracts leave out, because the server has them: protobuf's own, and the toolkit's options. */
const LEFT_OUT: readonly DescFile[] = [
  wkt.file_google_protobuf_any,
  wkt.file_google_protobuf_api,
  wkt.file_google_protobuf_descriptor,
  wkt.file_google_protobuf_duration,
  wkt.file_google_protobuf_empty,
  wkt.file_google_protobuf_field_mask,
  wkt.file_google_protobuf_source_context,
  wkt.file_google_protobuf_struct,
  wkt.file_google_protobuf_timestamp,
  wkt.file_google_protobuf_type,
  wkt.file_google_protobuf_wrappers,
  file_bowline_v1_options,
];

type FileProto = DescFile["proto"];

/** The file that constraints are written with: it comes with what evaluates them, where anything does. */
const VALIDATE_PROTO = "buf/validate/validate.proto";

/**
 * A file as far as it can be understood without the one that constraints are written with: constraints become options
 * that nobody knows, and rules of one's own are left out.
 */
function withoutConstraints(file: FileProto): FileProto {
  const at = file.dependency.indexOf(VALIDATE_PROTO);
  if (at < 0) return file;
  const remaining = (indexes: readonly number[]) =>
    indexes.filter((index) => index !== at).map((index) => (index > at ? index - 1 : index));
  const copy = clone(wkt.FileDescriptorProtoSchema, file);
  copy.dependency.splice(at, 1);
  copy.publicDependency = remaining(file.publicDependency);
  copy.weakDependency = remaining(file.weakDependency);
  withoutRules(copy, copy.messageType);
  return copy;
}

/** Takes out rules of one's own, also those that are declared within messages. */
function withoutRules(scope: Pick<FileProto, "extension">, messages: FileProto["messageType"]): void {
  scope.extension = scope.extension.filter(({ extendee }) => !extendee.startsWith(".buf.validate."));
  for (const message of messages) withoutRules(message, message.nestedType);
}

/** The .proto files of a server's contracts, found by what they declare. */
export class DescriptorRegistry {
  readonly #files = new Map<string, FileProto>();
  readonly #registry: FileRegistry;

  /** @param others files that the contracts may import, and neither carry nor every server has. Default: none. */
  constructor(contracts: readonly Contract[], others: readonly DescFile[] = []) {
    const details = statusDetailTypes();
    this.#files.set(details.name, details);
    for (const file of [...LEFT_OUT, ...others]) this.#files.set(file.proto.name, file.proto);
    for (const contract of contracts) {
      const set = fromBinary(wkt.FileDescriptorSetSchema, base64Decode(contract.descriptors()));
      for (const file of set.file) this.#files.set(file.name, file);
    }
    if (!this.#files.has(VALIDATE_PROTO)) {
      for (const [name, file] of this.#files) this.#files.set(name, withoutConstraints(file));
    }
    this.#registry = createFileRegistry({
      $typeName: "google.protobuf.FileDescriptorSet",
      file: this.#inOrder([...this.#files.keys()]),
    });
  }

  /** All that the files declare. */
  get types(): FileRegistry {
    return this.#registry;
  }

  /** A file and all that it imports, imports first, as serialised `FileDescriptorProto`s by name; undefined if unknown. */
  closure(name: string): Map<string, Uint8Array> | undefined {
    if (!this.#files.has(name)) return undefined;
    const files = this.#inOrder([name]);
    return new Map(files.map((file) => [file.name, toBinary(wkt.FileDescriptorProtoSchema, file)]));
  }

  /** The name of the file that declares a message, enum, service, extension, method, field or enum value. */
  fileOfSymbol(symbol: string): string | undefined {
    const parent = symbol.slice(0, Math.max(0, symbol.lastIndexOf(".")));
    const found =
      this.#registry.get(symbol) ?? (this.#declares(parent, symbol) ? this.#registry.get(parent) : undefined);
    return found?.file.proto.name;
  }

  /** The name of the file that declares an extension of a message. */
  fileOfExtension(message: string, number: number): string | undefined {
    return this.#extensions(message).find((extension) => extension.number === number)?.file.proto.name;
  }

  /** The numbers of a message's extensions; undefined if there is no such message. */
  extensionNumbers(message: string): number[] | undefined {
    if (!this.#registry.getMessage(message)) return undefined;
    return this.#extensions(message).map((extension) => extension.number);
  }

  #extensions(message: string): DescExtension[] {
    return [...this.#registry].filter(
      (type) => type.kind === "extension" && type.extendee.typeName === message,
    ) as DescExtension[];
  }

  #declares(parent: string, symbol: string): boolean {
    const name = symbol.slice(parent.length + 1);
    const type = this.#registry.get(parent);
    if (type?.kind === "service") return type.methods.some((method) => method.name === name);
    if (type?.kind === "message") return type.members.some((member) => member.name === name);
    return type?.kind === "enum" && type.values.some((value) => value.name === name);
  }

  /** The named files and what they import, each after its imports. */
  #inOrder(names: readonly string[]): FileProto[] {
    const ordered = new Map<string, FileProto>();
    const visit = (name: string) => {
      const file = this.#files.get(name);
      if (!file || ordered.has(name)) return;
      for (const dependency of file.dependency) visit(dependency);
      ordered.set(name, file);
    };
    for (const name of names) visit(name);
    return [...ordered.values()];
  }
}
