import { BinaryReader } from "@bufbuild/protobuf/wire";
import type { Metadata } from "nice-grpc-common";
import { PUSHBACK } from "../core/errors.ts";

/** Rich errors: a `google.rpc.Status`. */
const STATUS_DETAILS = "grpc-status-details-bin";
const RETRY_INFO = /\/google\.rpc\.RetryInfo$/;

/** The most that gRFC A6's 32 bits take. */
const MOST_MS = 2_147_483_647;
const NEVER = -1;

/**
 * The server's word on when to retry (rule R4): after so many milliseconds; negative: not at all. It stands in
 * `grpc-retry-pushback-ms` or, failing that, in a `google.rpc.RetryInfo`. What cannot be read, and what is said twice,
 * means not at all.
 *
 * @returns undefined if it says nothing.
 */
export function pushbackOf(trailer: Metadata): number | undefined {
  const said = trailer.getAll(PUSHBACK);
  if (said.length > 0) return said.length === 1 ? toMilliseconds(String(said[0])) : NEVER;
  const details = trailer.getAll(STATUS_DETAILS).filter((value) => value instanceof Uint8Array);
  const delays = details.flatMap(retryDelays);
  return delays.length > 1 ? NEVER : delays[0];
}

function toMilliseconds(text: string): number {
  const milliseconds = /^(0|[1-9]\d{0,9})$/.test(text) ? Number(text) : NEVER;
  return milliseconds <= MOST_MS ? milliseconds : NEVER;
}

/** The delays of all RetryInfos in a `google.rpc.Status`; none if the bytes are no such message. */
function retryDelays(bytes: Uint8Array): number[] {
  try {
    return fields(bytes, DETAILS).flatMap((any) => {
      const [type] = fields(any, TYPE_URL).slice(-1);
      if (!type || !RETRY_INFO.test(new TextDecoder().decode(type))) return [];
      return fields(any, VALUE).slice(-1).flatMap(retryDelay);
    });
  } catch {
    return [];
  }
}

function retryDelay(info: Uint8Array): number[] {
  try {
    return fields(info, RETRY_DELAY).slice(-1).map(toDelayMs);
  } catch {
    return [NEVER];
  }
}

// Field numbers: google.rpc.Status, google.protobuf.Any, google.rpc.RetryInfo, google.protobuf.Duration.
const DETAILS = 3;
const TYPE_URL = 1;
const VALUE = 2;
const RETRY_DELAY = 1;
const SECONDS = 1;
const NANOS = 2;

/** The values of a message's length-delimited field. */
function fields(bytes: Uint8Array, wanted: number): Uint8Array[] {
  const reader = new BinaryReader(bytes);
  const values: Uint8Array[] = [];
  while (reader.pos < reader.len) {
    const [number, wire] = reader.tag();
    if (number === wanted && wire === 2) values.push(reader.bytes());
    else reader.skip(wire, number);
  }
  return values;
}

/** A `google.protobuf.Duration` in whole milliseconds, rounded up; negative: not at all. */
function toDelayMs(duration: Uint8Array): number {
  const reader = new BinaryReader(duration);
  let milliseconds = 0;
  while (reader.pos < reader.len) {
    const [number, wire] = reader.tag();
    if (number === SECONDS && wire === 0) milliseconds += Number(reader.int64()) * 1_000;
    else if (number === NANOS && wire === 0) milliseconds += reader.int32() / 1_000_000;
    else reader.skip(wire, number);
  }
  return milliseconds >= 0 && milliseconds <= MOST_MS ? Math.ceil(milliseconds) : NEVER;
}
