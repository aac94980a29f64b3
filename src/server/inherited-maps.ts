import { type DescriptorProto, FieldDescriptorProto_Type } from "@bufbuild/protobuf/wkt";
import type { Contract } from "../contract/contract.ts";
import type { Codec } from "../core/method.ts";
import { requestsWith } from "./request-types.ts";

/**
 * The names of the methods in whose requests a client could choose an object's prototype: ts-proto assigns a map's
 * entries one by one to an object, and what is assigned to the key `__proto__` becomes its prototype. Nobody who looks
 * at the map's keys sees it, such as whoever validates it, and every other key is looked up in it.
 */
export function methodsWithMaps(contract: Contract): ReadonlySet<string> {
  // A map's entries are a message, whose name ends so.
  return new Set(requestsWith(contract, "Entry", hasObjects).keys());
}

/** Whether a message is the entry of a map by texts whose values are objects; others can be no prototype. */
function hasObjects({ options, field }: DescriptorProto): boolean {
  if (!options?.mapEntry) return false;
  const typeOf = (wanted: number) => field.find(({ number }) => number === wanted)?.type;
  const { STRING, MESSAGE, BYTES } = FieldDescriptorProto_Type;
  const value = typeOf(2);
  return typeOf(1) === STRING && (value === MESSAGE || value === BYTES);
}

/** A codec whose `decode` throws RangeError for bytes that have a map with the key `__proto__`. */
export function refusingPrototypes(codec: Codec): Codec {
  const decode = (bytes: Uint8Array) => {
    const message = codec.decode(bytes);
    if (hasForeignPrototype(message)) throw new RangeError('a map has the key "__proto__"');
    return message;
  };
  return { ...codec, decode };
}

/** Whether there is an object in a message, or it is one, whose prototype came with the message. */
export function hasForeignPrototype(value: unknown): boolean {
  if (typeof value !== "object" || value === null || ArrayBuffer.isView(value)) return false;
  if (Array.isArray(value)) return value.some(hasForeignPrototype);
  if (!isOfItsClass(value)) return true;
  return (value instanceof Map ? [...value.values()] : Object.values(value)).some(hasForeignPrototype);
}

/** Whether an object's prototype is that of a class, as of those that are written `{}`, or nothing. */
function isOfItsClass(value: object): boolean {
  const prototype: { readonly constructor?: { readonly prototype?: unknown } } | null = Object.getPrototypeOf(value);
  return prototype === null || prototype.constructor?.prototype === prototype;
}
