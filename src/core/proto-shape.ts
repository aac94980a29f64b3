import { readFields, type WireField, writeBytes, writeText, writeVarint } from "./proto-wire.ts";

/** What a field holds: `labels` is a map of texts, `milliseconds` a `google.protobuf.Duration`. */
type FieldType = "text" | "bytes" | "int64" | "milliseconds" | "labels" | Shape;

/** One field of a message. */
interface FieldShape {
  readonly number: number;
  readonly type: FieldType;
  /** Whether there is a list of them. */
  readonly many?: true;
  /** Whether it may be missing, where it would otherwise have protobuf's default. */
  readonly optional?: true;
}

/** The fields of a message by the names that they have in TypeScript. */
export interface Shape {
  readonly [name: string]: FieldShape;
}

type Fields = Readonly<Record<string, unknown>>;

/** What of a field is of use once it has been read. */
type Read = (value: bigint | Uint8Array) => unknown;

/**
 * A message's fields, each with its value or protobuf's default; what the shape does not know is left out.
 *
 * @throws RangeError if the bytes are no such message.
 */
export function decodeShape(shape: Shape, bytes: Uint8Array): Record<string, unknown> {
  const fields = readFields(bytes);
  const entries = Object.entries(shape).flatMap(([name, field]) => {
    const value = readField(
      field,
      fields.filter(({ number }) => number === field.number),
    );
    return value === undefined ? [] : [[name, value]];
  });
  return Object.fromEntries(entries);
}

function readField({ type, many, optional }: FieldShape, found: readonly WireField[]): unknown {
  if (type === "labels") return Object.fromEntries(found.map(({ value }) => readLabel(value)));
  const read: Read = typeof type === "object" ? (value) => decodeShape(type, asBytes(value)) : READ[type];
  const values = found.map(({ value }) => read(value));
  if (many) return values;
  // The last one counts.
  if (values.length > 0) return values.at(-1);
  if (type === "text") return "";
  if (type === "bytes") return new Uint8Array();
  return type === "int64" && !optional ? 0n : undefined;
}

const READ = {
  // Apart from the rest: what came with a call is a part of a larger piece of memory.
  bytes: (value: bigint | Uint8Array) => new Uint8Array(asBytes(value)),
  text: (value: bigint | Uint8Array) => new TextDecoder("utf-8", { ignoreBOM: true }).decode(asBytes(value)),
  int64: (value: bigint | Uint8Array) => BigInt.asIntN(64, asVarint(value)),
  milliseconds: (value: bigint | Uint8Array) => toMilliseconds(asBytes(value)),
} as const satisfies Record<string, Read>;

function readLabel(entry: bigint | Uint8Array): [string, string] {
  const { key, value } = decodeShape(LABEL, asBytes(entry)) as { key: string; value: string };
  return [key, value];
}

/** One of `labels`: on the wire, a map is a list of messages. */
export const LABEL: Shape = { key: { number: 1, type: "text" }, value: { number: 2, type: "text" } };
const DURATION: Shape = { seconds: { number: 1, type: "int64" }, nanos: { number: 2, type: "int64" } };

function toMilliseconds(bytes: Uint8Array): number {
  const { seconds, nanos } = decodeShape(DURATION, bytes);
  return Number(seconds) * 1_000 + Number(nanos) / 1_000_000;
}

function asBytes(value: bigint | Uint8Array): Uint8Array {
  if (typeof value === "bigint") throw new RangeError("a field has the wrong wire type");
  return value;
}

function asVarint(value: bigint | Uint8Array): bigint {
  if (typeof value !== "bigint") throw new RangeError("a field has the wrong wire type");
  return value;
}

/** The bytes of a message in which `shapeProblems` finds nothing wrong; fields may be left out. */
export function encodeShape(shape: Shape, message: object): number[] {
  const out: number[] = [];
  for (const [name, field] of Object.entries(shape)) {
    const value: unknown = Reflect.get(message, name);
    if (value !== undefined && value !== null) writeField(out, field, value);
  }
  return out;
}

function writeField(out: number[], { number, type, many, optional }: FieldShape, value: unknown): void {
  if (type === "labels") {
    for (const [key, text] of Object.entries(value as Fields)) {
      writeBytes(out, number, encodeShape(LABEL, { key, value: text }));
    }
  } else if (many) {
    for (const one of value as unknown[]) writeValue(out, number, type, one);
  } else if (optional || (value !== "" && value !== 0n)) {
    // Protobuf's default is not written.
    writeValue(out, number, type, value);
  }
}

function writeValue(out: number[], number: number, type: Exclude<FieldType, "labels">, value: unknown): void {
  if (typeof type === "object") writeBytes(out, number, encodeShape(type, value as object));
  else if (type === "int64") writeVarint(out, number, value as bigint);
  else if (type === "text") writeText(out, number, value as string);
  else if (type === "bytes") writeBytes(out, number, value as Uint8Array);
  else writeBytes(out, number, encodeShape(DURATION, toDuration(value as number)));
}

/** Both parts have the sign of the whole. */
function toDuration(milliseconds: number): Fields {
  const whole = Math.trunc(milliseconds);
  const nanos = BigInt(whole) * 1_000_000n + BigInt(Math.round((milliseconds - whole) * 1_000_000));
  return { seconds: nanos / 1_000_000_000n, nanos: nanos % 1_000_000_000n };
}

/** `google.protobuf.Duration`: ten thousand years. */
const MOST_MILLISECONDS = 315_576_000_000_000;

/** All that keeps a value from being such a message; `path` is where it stands. */
export function shapeProblems(shape: Shape, message: unknown, path: string): string[] {
  if (typeof message !== "object" || message === null) return [`${path} must be an object`];
  return Object.entries(message).flatMap(([name, value]) => {
    const at = `${path}.${name}`;
    if (value === undefined) return [];
    const field = Object.hasOwn(shape, name) ? shape[name] : undefined;
    if (!field) return [`${at}: there is no such field; there are ${Object.keys(shape).join(", ")}`];
    if (!field.many) return valueProblems(field.type, value, at);
    if (!Array.isArray(value)) return [`${at} must be an array`];
    return value.flatMap((one, n) => valueProblems(field.type, one, `${at}[${n}]`));
  });
}

function valueProblems(type: FieldType, value: unknown, at: string): string[] {
  if (typeof type === "object") return shapeProblems(type, value, at);
  if (type === "text") return typeof value === "string" ? [] : [`${at} must be a text`];
  if (type === "bytes") return value instanceof Uint8Array ? [] : [`${at} must be bytes`];
  if (type === "labels") return labelProblems(value, at);
  if (type === "int64") {
    return typeof value === "bigint" && BigInt.asIntN(64, value) === value ? [] : [`${at} must be a bigint of 64 bits`];
  }
  return typeof value === "number" && Math.abs(value) <= MOST_MILLISECONDS
    ? []
    : [`${at} must be a number of milliseconds`];
}

function labelProblems(value: unknown, at: string): string[] {
  if (typeof value !== "object" || value === null) return [`${at} must be an object of texts`];
  return Object.entries(value).flatMap(([key, text]) =>
    typeof text === "string" ? [] : [`${at}[${JSON.stringify(key)}] must be a text`],
  );
}
