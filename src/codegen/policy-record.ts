import type { DescEnum, DescField } from "@bufbuild/protobuf";
import type { ReflectList, ReflectMessage } from "@bufbuild/protobuf/reflect";
import type { Duration } from "@bufbuild/protobuf/wkt";
import type { Problem } from "../contract/value-checks.ts";
import { parseStatusName } from "../core/status.ts";
import type { SourcePath, SourcePositions } from "./source-positions.ts";

/** A value as the policy records of `src/contract` have it. */
export type RecordValue = string | number | boolean | readonly RecordValue[] | { readonly [key: string]: RecordValue };

/** What an option says, as a policy record, and where each part of it stands. */
export interface PolicyRecord {
  readonly record: Readonly<Record<string, RecordValue>>;
  /** What cannot be said in a record. */
  readonly problems: readonly Problem[];
  /** Where a part stands, such as `["retry", "codes", "0"]`; if it is not there, where what is around it stands. */
  place(path: readonly string[]): Place;
}

/** Where a part of an option stands. */
export interface Place {
  readonly at: SourcePath;
  /** What the contract calls it, such as `retry.codes`, if it is a value. */
  readonly name?: string;
}

/**
 * Turns an option into a policy record by its descriptor alone, so that a further option needs no code here. Fields
 * keep their JSON names; a duration becomes milliseconds and its name ends in `Ms`; an enum value loses its prefix
 * and is in lower case; statuses (texts called `codes` or `…_codes`) become names. What is not set is left out.
 */
export function readPolicy(option: ReflectMessage, at: SourcePath, positions: SourcePositions): PolicyRecord {
  const reader = new PolicyReader(positions);
  const record = reader.message(option, { at, path: [], name: "" });
  const place = (path: readonly string[]): Place => {
    if (path.length === 0) return { at };
    return reader.places.get(path.join(".")) ?? { at: place(path.slice(0, -1)).at };
  };
  return { record, problems: reader.problems, place };
}

/** A part of an option on all three sides: in the source, in the record, in the contract's words. */
interface Part {
  readonly at: SourcePath;
  readonly path: readonly string[];
  readonly name: string;
}

class PolicyReader {
  readonly places = new Map<string, Place>();
  readonly problems: Problem[] = [];
  readonly #positions: SourcePositions;

  constructor(positions: SourcePositions) {
    this.#positions = positions;
  }

  message(message: ReflectMessage, part: Part): Record<string, RecordValue> {
    const set = message.fields.filter((field) => message.isSet(field));
    return Object.fromEntries(
      set.map((field) => {
        const inner = within(part, field);
        return [recordKey(field), this.#field(field, message.get(field), inner)];
      }),
    );
  }

  #field(field: DescField, value: unknown, part: Part): RecordValue {
    if (field.fieldKind !== "list") return this.#value(field, value, part);
    const elements = [...(value as ReflectList)];
    // Only if each element has a place of its own do places and elements go together.
    const apart = this.#positions.elements(part.at) === elements.length;
    return elements.map((element, index) => {
      const at = apart ? [...part.at, index] : part.at;
      return this.#value(field, element, { ...part, at, path: [...part.path, String(index)] });
    });
  }

  #value(field: DescField, value: unknown, part: Part): RecordValue {
    const isPolicy = field.message && !isDuration(field);
    this.places.set(part.path.join("."), isPolicy ? { at: part.at } : { at: part.at, name: part.name });
    if (isPolicy) return this.message(value as ReflectMessage, part);
    if (isDuration(field)) return this.#milliseconds((value as ReflectMessage).message as Duration, part);
    if (field.enum) return this.#enumValue(field.enum, value as number, part);
    if (typeof value === "string") return isStatus(field) ? (parseStatusName(value) ?? value) : value;
    if (typeof value === "number" || typeof value === "bigint") return this.#number(Number(value), part);
    return value as RecordValue;
  }

  #number(value: number, { path }: Part): number {
    if (!Number.isFinite(value)) this.problems.push({ path, message: `must be a finite number; it is ${value}` });
    return value;
  }

  #milliseconds({ seconds, nanos }: Duration, { path }: Part): number {
    const wrong = Math.abs(nanos) > 999_999_999 || (seconds < 0n && nanos > 0) || (seconds > 0n && nanos < 0);
    const message = `is no duration: nanos must be within 999999999 and have the sign of seconds; they are ${nanos}`;
    if (wrong) this.problems.push({ path, message });
    return Number(seconds) * 1000 + nanos / 1_000_000;
  }

  #enumValue(type: DescEnum, number: number, { path }: Part): string {
    const value = type.value[number];
    if (value) return value.name.toLowerCase().slice((type.sharedPrefix ?? "").length);
    const known = type.values.map(({ name }) => name).join(", ");
    this.problems.push({ path, message: `${type.name} has no value ${number}; it has ${known}` });
    return String(number);
  }
}

function within({ at, path, name }: Part, field: DescField): Part {
  return {
    at: [...at, field.number],
    path: [...path, recordKey(field)],
    name: name ? `${name}.${field.name}` : field.name,
  };
}

function recordKey(field: DescField): string {
  return isDuration(field) ? `${field.jsonName}Ms` : field.jsonName;
}

function isDuration(field: DescField): boolean {
  return field.message?.typeName === "google.protobuf.Duration";
}

function isStatus(field: DescField): boolean {
  return field.name === "codes" || field.name.endsWith("_codes");
}
