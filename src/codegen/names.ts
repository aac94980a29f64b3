import type { DescEnum, DescField, DescMessage, DescOneof } from "@bufbuild/protobuf";
import type { TsProtoOptions } from "./plugin-options.ts";

/**
 * The names that ts-proto gives. They must be these exactly, or what is generated does not compile: ts-proto's own
 * rules are in its `case`, `visit`, `utils` and `generate-generic-service-definition` modules.
 */

/** A method's key in the definition: `GetOrder` becomes `getOrder`, `HTTPGet` becomes `hTTPGet`. */
export function methodKey(name: string): string {
  return name.charAt(0).toLowerCase() + name.slice(1);
}

/** The constant that holds a service's definition. */
export function definitionName(service: string): string {
  return `${service}Definition`;
}

/** A message's type, with the names of the messages around it: `Outer_Inner`. */
export function messageTypeName(message: DescMessage, options: TsProtoOptions): string {
  return typeName(options.messagePrefix + nestedName(message, options) + options.messageSuffix, options);
}

/** An enum's type, with the names of the messages around it. */
export function enumTypeName(type: DescEnum, options: TsProtoOptions): string {
  return typeName(options.enumPrefix + nestedName(type, options) + options.enumSuffix, options);
}

function typeName(name: string, { typePrefix, typeSuffix }: TsProtoOptions): string {
  const full = typePrefix + name + typeSuffix;
  return full === "Date" || full === "Function" ? `${full}Message` : full;
}

function nestedName(type: DescMessage | DescEnum, options: TsProtoOptions): string {
  const own = options.camelKeys ? snakeToCamel(type.name) : type.name;
  if (!type.parent) return own;
  return nestedName(type.parent, options) + (options.useSnakeTypeName ? "_" : "") + own;
}

/** A field's key in its message. */
export function fieldName(field: DescField, options: TsProtoOptions): string {
  if (options.useJsonName) return field.jsonName;
  return options.camelKeys ? snakeToCamel(field.name) : field.name;
}

/** A oneof's key in its message, where it has one. */
export function oneofName(oneof: DescOneof, options: TsProtoOptions): string {
  return options.camelKeys ? snakeToCamel(oneof.name) : oneof.name;
}

/** The module of a .proto file, from the output's root and without its suffix: `shop/orders/v1/orders`. */
export function modulePath(protoFile: string): string {
  return protoFile.replace(".proto", "");
}

function snakeToCamel(name: string): string {
  if (!name.includes("_")) return name;
  const keepsCase = /[a-z]/.test(name);
  const words = (keepsCase ? name : name.toLowerCase()).split("_");
  return words.map((word, index) => (index === 0 ? word : word.charAt(0).toUpperCase() + word.slice(1))).join("");
}
