/**
 * Protobuf's wire format, as far as rich errors need it: core imports nothing, and they are small. Everything else is
 * encoded by the contract's own code.
 */

/** A field as it stands in a message: a varint, or the bytes of what has a length. */
export interface WireField {
  readonly number: number;
  readonly value: bigint | Uint8Array;
}

const VARINT = 0;
const FIXED64 = 1;
const BYTES = 2;
const FIXED32 = 5;

/** A varint has at most so many bits in groups of seven. */
const MOST_VARINT_BITS = 70n;

/**
 * The fields of a message, in their order. Those of a fixed length, which no message here has, are left out.
 *
 * @throws RangeError if the bytes are no message.
 */
export function readFields(bytes: Uint8Array): WireField[] {
  const source = { bytes, position: 0 };
  const fields: WireField[] = [];
  while (source.position < bytes.length) {
    const tag = readVarint(source);
    const number = Number(tag >> 3n);
    if (number === 0) throw new RangeError("a field has no number");
    const value = readValue(source, Number(tag & 7n));
    if (value !== undefined) fields.push({ number, value });
  }
  return fields;
}

interface Source {
  readonly bytes: Uint8Array;
  position: number;
}

function readValue(source: Source, wire: number): bigint | Uint8Array | undefined {
  if (wire === VARINT) return readVarint(source);
  if (wire === BYTES) return take(source, readVarint(source));
  if (wire === FIXED64) take(source, 8n);
  else if (wire === FIXED32) take(source, 4n);
  else throw new RangeError(`a field has wire type ${wire}`);
  return undefined;
}

function readVarint(source: Source): bigint {
  let value = 0n;
  for (let shift = 0n; shift < MOST_VARINT_BITS; shift += 7n) {
    const byte = source.bytes[source.position++];
    if (byte === undefined) throw new RangeError("the bytes are cut");
    value |= BigInt(byte & 0x7f) << shift;
    if (byte < 0x80) return BigInt.asUintN(64, value);
  }
  throw new RangeError("a varint does not end");
}

function take(source: Source, length: bigint): Uint8Array {
  const begin = source.position;
  if (length > source.bytes.length - begin) throw new RangeError("the bytes are cut");
  source.position = begin + Number(length);
  return source.bytes.subarray(begin, source.position);
}

/** A field with a number; negative ones as protobuf has them, in ten bytes. */
export function varintField(number: number, value: bigint): Uint8Array {
  return join([varint(BigInt(number << 3)), varint(BigInt.asUintN(64, value))]);
}

/** A field with a text, with bytes, or with another message. */
export function bytesField(number: number, value: Uint8Array): Uint8Array {
  return join([varint(BigInt((number << 3) | BYTES)), varint(BigInt(value.length)), value]);
}

function varint(value: bigint): Uint8Array {
  const bytes: number[] = [];
  let rest = value;
  for (; rest > 0x7fn; rest >>= 7n) bytes.push(Number(rest & 0x7fn) | 0x80);
  return Uint8Array.of(...bytes, Number(rest));
}

/** All the bytes, one after the other. */
export function join(parts: readonly Uint8Array[]): Uint8Array {
  const all = new Uint8Array(parts.reduce((length, part) => length + part.length, 0));
  let position = 0;
  for (const part of parts) {
    all.set(part, position);
    position += part.length;
  }
  return all;
}
