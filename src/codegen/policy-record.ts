import type { DescEnum, DescField } from "@bufbuild/protobuf";
import type { ReflectList, ReflectMessage } from "@bufbuild/protobuf/reflect";
import type { Duration } from "@bufbuild/protobuf/wkt";
import { parseStatusName } from "../core/status.ts";
import type { SourcePath, SourcePositions } from "./source-positions.ts";

/** A value as the policy records of `src/contract` have it. */
export type RecordValue = string | number | boolean | readonly RecordValue[] | { readonly [key: string]: RecordValue };

/** What an option says, as a policy record, and where each part of it stands. */
export interface PolicyRecord {
  readonly record: Readonly<Record<string, RecordValue>>;
  /** What cannot be told in a record. */
  readonly problems: readonly { readonly path: readonly string[]; readonly message: string }[];
  /** The source of a part, such as `["retry", "codes", "0"]`; that of the innermost part around it that has one. */
  source(path: readonly string[]): SourcePath;
}

/**
 * Turns an option into a policy record by its descriptor alone, so that a further option needs no code here. Fields
 * keep their JSON names; a duration becomes milliseconds and its name ends in `Ms`; an enum value loses its prefix
 * and is in lower case; statuses (fields that are or end in `codes`) become names. What is not set is left out.
 */
export function readPolicy(option: ReflectMessage, at: SourcePath, positions: SourcePositions): PolicyRecord {
  const reader = new PolicyReader(positions);
  const record = reader.message(option, at, []);
  const source = (path: readonly string[]): SourcePath => {
    for (let length = path.length; length > 0; length--) {
      const known = reader.sources.get(path.slice(0, length).join("."));
      if (known) return known;
    }
    return at;
  };
  return { record, problems: reader.problems, source };
}

class PolicyReader {
  readonly sources = new Map<string, SourcePath>();
  readonly problems: { path: readonly string[]; message: string }[] = [];
  readonly #positions: SourcePositions;

  constructor(positions: SourcePositions) {
    this.#positions = positions;
  }

  message(message: ReflectMessage, at: SourcePath, path: readonly string[]): Record<string, RecordValue> {
    const set = message.fields.filter((field) => message.isSet(field));
    return Object.fromEntries(
      set.map((field) => {
        const key = recordKey(field);
        return [key, this.#field(field, message.get(field), [...at, field.number], [...path, key])];
      }),
    );
  }

  #field(field: DescField, value: unknown, at: SourcePath, path: readonly string[]): RecordValue {
    this.sources.set(path.join("."), at);
    if (field.fieldKind !== "list") return this.#value(field, value, at, path);
    const elements = [...(value as ReflectList)];
    // Only if each element has a place of its own do places and elements go together.
    const apart = this.#positions.elements(at) === elements.length;
    return elements.map((element, index) => {
      const elementPath = [...path, String(index)];
      const elementAt = apart ? [...at, index] : at;
      this.sources.set(elementPath.join("."), elementAt);
      return this.#value(field, element, elementAt, elementPath);
    });
  }

  #value(field: DescField, value: unknown, at: SourcePath, path: readonly string[]): RecordValue {
    if (isDuration(field)) return this.#milliseconds((value as ReflectMessage).message as Duration, path);
    if (field.message) return this.message(value as ReflectMessage, at, path);
    if (field.enum) return this.#enumValue(field.enum, value as number, path);
    if (typeof value === "string") return isStatus(field) ? (parseStatusName(value) ?? value) : value;
    if (typeof value === "number" || typeof value === "bigint") return this.#number(Number(value), path);
    return value as RecordValue;
  }

  #number(value: number, path: readonly string[]): number {
    if (!Number.isFinite(value)) this.problems.push({ path, message: `must be a finite number; it is ${value}` });
    return value;
  }

  #milliseconds({ seconds, nanos }: Duration, path: readonly string[]): number {
    const wrong = Math.abs(nanos) > 999_999_999 || (seconds < 0n && nanos > 0) || (seconds > 0n && nanos < 0);
    if (wrong) {
      const message = `is no duration: nanos must be within 999999999 and have the sign of seconds; they are ${nanos}`;
      this.problems.push({ path, message });
    }
    return Number(seconds) * 1000 + nanos / 1_000_000;
  }

  #enumValue(type: DescEnum, number: number, path: readonly string[]): string {
    const value = type.value[number];
    if (!value) {
      const known = type.values.map(({ name }) => name).join(", ");
      this.problems.push({ path, message: `${type.name} has no value ${number}; it has ${known}` });
      return String(number);
    }
    return value.name.toLowerCase().slice((type.sharedPrefix ?? "").length);
  }
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
