import { type DescField, type DescMessage, getOption } from "@bufbuild/protobuf";
import { BinaryReader, WireType } from "@bufbuild/protobuf/wire";
import { field as fieldRules, Ignore } from "@bufbuild/protovalidate/gen/buf/validate/validate_pb.js";
import type { FieldViolation } from "../core/status-detail.ts";

/** What stands at a field's number in a message. */
interface Limit {
  readonly name: string;
  readonly isList: boolean;
  /** How many entries it may have, and what is said of more. */
  readonly most: number;
  readonly tooMany: Omit<FieldViolation, "field">;
  /** What is in a message of its own, unless it is a map's. */
  readonly within: Limits | undefined;
}

type Limits = Map<number, Limit>;

/** The first list or map that is too long for its `max_items` or `max_pairs`; undefined if none is. */
export type SizeCheck = (bytes: Uint8Array) => FieldViolation | undefined;

/**
 * Counts what has a limit, without decoding anything: of a million messages where a hundred may be, it reads a hundred.
 * What is in maps, and lists of numbers, which cost little, are left to the rules themselves.
 */
export function sizeCheck(type: DescMessage): SizeCheck {
  const limits = limitsOf(type, new Map());
  return (bytes) => excess(new BinaryReader(bytes), bytes.length, limits, "");
}

function limitsOf(type: DescMessage, known: Map<DescMessage, Limits>): Limits {
  const found = known.get(type);
  if (found) return found;
  const limits: Limits = new Map();
  known.set(type, limits);
  for (const field of type.fields) {
    const limit = limitOf(field, known);
    if (limit) limits.set(field.number, limit);
  }
  return limits;
}

function limitOf(field: DescField, known: Map<DescMessage, Limits>): Limit | undefined {
  const { ignore, type } = getOption(field, fieldRules);
  const isList = field.fieldKind === "list";
  if (ignore === Ignore.ALWAYS) return undefined;
  const most = type.case === "repeated" ? type.value.maxItems : type.case === "map" ? type.value.maxPairs : 0n;
  const isUnchecked = type.case === "repeated" && type.value.items?.ignore === Ignore.ALWAYS;
  const message = field.fieldKind === "map" || isUnchecked ? undefined : field.message;
  const isCounted = most > 0n && !(isList && field.packed);
  if (!isCounted && !message) return undefined;
  const within = message && limitsOf(message, known);
  return { name: field.name, isList, most: isCounted ? Number(most) : Infinity, tooMany: told(field, most), within };
}

function told({ fieldKind }: DescField, most: bigint): Omit<FieldViolation, "field"> {
  return fieldKind === "map"
    ? { description: `map must be at most ${most} entries`, reason: "map.max_pairs" }
    : { description: `must contain no more than ${most} item(s)`, reason: "repeated.max_items" };
}

function excess(reader: BinaryReader, end: number, limits: Limits, prefix: string): FieldViolation | undefined {
  const counts = new Map<number, number>();
  while (reader.pos < end) {
    const [number, wire] = reader.tag();
    const limit = wire === WireType.LengthDelimited ? limits.get(number) : undefined;
    if (!limit) {
      reader.skip(wire, number);
      continue;
    }
    const index = counts.get(number) ?? 0;
    counts.set(number, index + 1);
    const field = prefix + limit.name;
    if (index >= limit.most) return { field, ...limit.tooMany };
    const length = reader.uint32();
    const next = reader.pos + length;
    const at = limit.isList ? `${field}[${index}].` : `${field}.`;
    const found = limit.within?.size ? excess(reader, next, limit.within, at) : undefined;
    if (found) return found;
    reader.pos = next;
  }
  return undefined;
}
