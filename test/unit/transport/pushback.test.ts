import { BinaryWriter, WireType } from "@bufbuild/protobuf/wire";
import { Metadata } from "nice-grpc-common";
import { describe, expect, test } from "vitest";
import { pushbackOf } from "../../../src/transport/index.ts";

const NEVER = -1;
const DETAILS = "grpc-status-details-bin";
const RETRY_INFO = "type.googleapis.com/google.rpc.RetryInfo";

test("a trailer without a word about it says nothing", () => {
  expect(pushbackOf(new Metadata({ other: "5" }))).toBeUndefined();
});

describe("grpc-retry-pushback-ms", () => {
  test.each<[string[], number]>([
    [["0"], 0],
    [["1"], 1],
    [["50"], 50],
    [["2147483647"], 2_147_483_647],
    [["2147483648"], NEVER],
    [["99999999999999999999"], NEVER],
    [["-1"], NEVER],
    [["-0"], NEVER],
    [["-2147483648"], NEVER],
    [[""], NEVER],
    [["abc"], NEVER],
    [["100xyz"], NEVER],
    [["1.5"], NEVER],
    [["1e3"], NEVER],
    [["0x10"], NEVER],
    [["+5"], NEVER],
    [["007"], NEVER],
    [[" 50"], NEVER],
    [["50 "], NEVER],
    [["10", "20"], NEVER],
    [["10", "10"], NEVER],
    [["10, 20"], NEVER],
  ])("%j is %i", (values, expected) => {
    const trailer = new Metadata();
    for (const value of values) trailer.append("grpc-retry-pushback-ms", value);
    expect(pushbackOf(trailer)).toBe(expected);
  });

  test("goes before a RetryInfo, also where it cannot be read", () => {
    const info = status([any(RETRY_INFO, retryInfo(duration(1n, 0)))]);
    const said = (text: string) => new Metadata({ "grpc-retry-pushback-ms": text, [DETAILS]: info });
    expect([pushbackOf(said("7")), pushbackOf(said("soon"))]).toEqual([7, NEVER]);
  });
});

/** A message of fields that have a length. */
function message(fields: readonly (readonly [number, Uint8Array | string])[]): Uint8Array {
  const writer = new BinaryWriter();
  for (const [number, value] of fields) {
    const tagged = writer.tag(number, WireType.LengthDelimited);
    tagged.bytes(typeof value === "string" ? new TextEncoder().encode(value) : value);
  }
  return writer.finish();
}

/** A google.rpc.Status with code and message, and these details. */
function status(details: readonly Uint8Array[]): Uint8Array {
  const writer = new BinaryWriter();
  writer.tag(1, WireType.Varint).int32(14);
  writer.tag(2, WireType.LengthDelimited).string("the shop is closed");
  for (const detail of details) writer.tag(3, WireType.LengthDelimited).bytes(detail);
  return writer.finish();
}

function any(type: string, value: Uint8Array): Uint8Array {
  return message([
    [1, type],
    [2, value],
  ]);
}

function retryInfo(...delays: readonly Uint8Array[]): Uint8Array {
  return message(delays.map((delay) => [1, delay] as const));
}

function duration(seconds: bigint, nanos: number): Uint8Array {
  const writer = new BinaryWriter();
  writer.tag(1, WireType.Varint).int64(seconds);
  writer.tag(2, WireType.Varint).int32(nanos);
  return writer.finish();
}

const EMPTY = new Uint8Array();
const other = any("type.googleapis.com/google.rpc.DebugInfo", message([[2, "stack"]]));
const info = (seconds: bigint, nanos = 0) => any(RETRY_INFO, retryInfo(duration(seconds, nanos)));

describe("google.rpc.RetryInfo", () => {
  test.each<[string, Uint8Array[], number | undefined]>([
    ["half a second", [status([info(0n, 500_000_000)])], 500],
    ["seconds and nanos", [status([info(2n, 250_000_000)])], 2_250],
    ["nanos alone, rounded up", [status([info(0n, 1)])], 1],
    ["a part of a millisecond, rounded up", [status([info(1n, 1_000_001)])], 1_002],
    ["a duration of nothing", [status([any(RETRY_INFO, retryInfo(EMPTY))])], 0],
    ["as long as 32 bits go", [status([info(2_147_483n, 647_000_000)])], 2_147_483_647],
    ["longer than that", [status([info(2_147_483n, 648_000_000)])], NEVER],
    ["a year of the universe", [status([info(9_223_372_036_854_775_807n)])], NEVER],
    ["less than nothing", [status([info(-1n)])], NEVER],
    ["less than nothing by nanos", [status([info(0n, -1)])], NEVER],
    ["a RetryInfo without a delay", [status([any(RETRY_INFO, EMPTY)])], undefined],
    ["a RetryInfo without a value", [status([message([[1, RETRY_INFO]])])], undefined],
    ["details of other kinds around it", [status([other, info(1n), other])], 1_000],
    ["details of other kinds alone", [status([other])], undefined],
    ["no details", [status([])], undefined],
    ["an empty status", [EMPTY], undefined],
    [
      "another domain's RetryInfo",
      [status([any("shop.example/google.rpc.RetryInfo", retryInfo(duration(3n, 0)))])],
      3_000,
    ],
    [
      "a type that only ends alike",
      [status([any("x/shop.google.rpc.RetryInfo", retryInfo(duration(3n, 0)))])],
      undefined,
    ],
    ["two RetryInfos", [status([info(1n), info(1n)])], NEVER],
    ["two statuses", [status([info(1n)]), status([info(1n)])], NEVER],
    ["two statuses, one of which says something", [status([other]), status([info(1n)])], 1_000],
    ["a RetryInfo that cannot be read", [status([any(RETRY_INFO, new Uint8Array([0x0a, 0x7f]))])], NEVER],
    ["a duration that cannot be read", [status([any(RETRY_INFO, retryInfo(new Uint8Array([0x08])))])], NEVER],
    [
      "fields that it does not know",
      [
        status([
          any(
            RETRY_INFO,
            message([
              [9, "?"],
              [1, duration(1n, 0)],
            ]),
          ),
        ]),
      ],
      1_000,
    ],
    [
      "the last of two delays, as protobuf has it",
      [status([any(RETRY_INFO, retryInfo(duration(1n, 0), duration(2n, 0)))])],
      2_000,
    ],
    ["bytes that are no status", [new Uint8Array([0xff, 0xff, 0xff])], undefined],
    ["a status that is cut", [status([info(1n)]).subarray(0, -4)], undefined],
    ["a detail that is no Any", [status([new Uint8Array([0x0a, 0x7f])])], undefined],
  ])("%s", (_, statuses, expected) => {
    const trailer = new Metadata();
    for (const bytes of statuses) trailer.append(DETAILS, bytes);
    expect(pushbackOf(trailer)).toBe(expected);
  });
});
