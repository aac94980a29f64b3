import { Metadata } from "nice-grpc-common";
import { describe, expect, test, vi } from "vitest";
import { CURSOR_HEADER, type CursorType, decodeCursor } from "../../../src/core/cursor.ts";
import type { MethodKind } from "../../../src/core/method.ts";
import { pin } from "../../../src/core/pin.ts";
import { aMethod } from "../../support/scripted.ts";

/** A context whose header a test looks at. */
function aContext(kind: MethodKind = "server-stream", cursorType?: CursorType) {
  return {
    method: { ...aMethod(kind), ...(cursorType && { cursorType }) },
    header: new Metadata(),
    sendHeader: vi.fn(),
  };
}

/** As ts-proto's `forceLong=long` has them. */
class Long {
  readonly #text: string;
  constructor(text: string) {
    this.#text = text;
  }
  toString(): string {
    return this.#text;
  }
}

describe("pin", () => {
  test.each<[string, unknown, unknown]>([
    ["a bigint", 9_007_199_254_740_993n, 0n],
    ["the very first position", 0n, 0n],
    ["a number", 42, 0],
    ["text", "page ü", ""],
    ["bytes", Uint8Array.of(0, 255), new Uint8Array()],
  ])("sends %s in the header, at once", (_, cursor, like) => {
    const context = aContext();
    pin(context, cursor);
    const bytes = context.header.get(CURSOR_HEADER);
    expect(bytes && decodeCursor(bytes, like)).toEqual(cursor);
    expect(context.sendHeader).toHaveBeenCalledTimes(1);
  });

  test("sends a Long as text", () => {
    const context = aContext();
    pin(context, new Long("-7"));
    expect(new TextDecoder().decode(context.header.get(CURSOR_HEADER))).toBe("-7");
  });

  test.each<[string, unknown]>([
    ["undefined", undefined],
    ["null", null],
    ["1.5", 1.5],
    ["NaN", Number.NaN],
    ["[object Object]", {}],
    ["true", true],
  ])("refuses %s, and sends nothing", (shown, cursor) => {
    const context = aContext();
    const message = `/test.Service/server-stream: pin takes a whole number, a string or bytes; it got ${shown}`;
    expect(() => pin(context, cursor)).toThrow(new TypeError(message));
    expect([...context.header]).toEqual([]);
    expect(context.sendHeader).not.toHaveBeenCalled();
  });

  test.each<[CursorType, unknown, unknown]>([
    ["int64", -(2n ** 63n), 0n],
    ["int64", 2n ** 63n - 1n, 0n],
    ["int64", 5, 0],
    ["int64", "5", "0"],
    ["uint64", 2n ** 64n - 1n, 0n],
    ["uint64", 0n, 0n],
    ["string", "5", ""],
    ["string", "", ""],
    ["bytes", Uint8Array.of(0x35), new Uint8Array()],
    ["bytes", Buffer.alloc(0), new Uint8Array()],
  ])("sends a position of a method whose positions are %s: %s", (cursorType, cursor, like) => {
    const context = aContext("server-stream", cursorType);
    pin(context, cursor);
    const bytes = context.header.get(CURSOR_HEADER);
    expect(bytes && decodeCursor(bytes, like)).toEqual(cursor);
    expect(context.sendHeader).toHaveBeenCalledTimes(1);
  });

  const int64 = "a whole number of 64 bits, since its positions are int64";
  const uint64 = "a whole number of 64 bits, 0 or more, since its positions are uint64";
  const string = "a string, since its positions are string";
  const bytes = "a Uint8Array, since its positions are bytes";

  test.each<[CursorType, string, string, unknown]>([
    ["int64", int64, '"é"', "é"],
    ["int64", int64, '""', ""],
    ["int64", int64, "bytes", Uint8Array.of(5)],
    ["int64", int64, "9223372036854775808n", 2n ** 63n],
    ["uint64", uint64, "-1n", -1n],
    ["uint64", uint64, "18446744073709551616", new Long(String(2n ** 64n))],
    ["uint64", uint64, "undefined", undefined],
    ["string", string, "5n", 5n],
    ["string", string, "5", 5],
    ["string", string, "bytes", Uint8Array.of(5)],
    ["bytes", bytes, '"é"', "é"],
    ["bytes", bytes, "5n", 5n],
    ["bytes", bytes, "5", 5],
  ])("refuses what is no position of a method whose positions are %s", (cursorType, takes, shown, cursor) => {
    const context = aContext("server-stream", cursorType);
    const message = `/test.Service/server-stream: pin takes ${takes}; it got ${shown}`;
    expect(() => pin(context, cursor)).toThrow(new TypeError(message));
    expect([...context.header]).toEqual([]);
    expect(context.sendHeader).not.toHaveBeenCalled();
  });

  test.each<MethodKind>(["unary", "client-stream", "bidi"])("refuses a %s method, by its path", (kind) => {
    const message = `/test.Service/${kind}: pin is for server-streams; this is a ${kind} method`;
    expect(() => pin(aContext(kind), 1n)).toThrow(new TypeError(message));
  });
});
