import { Metadata } from "nice-grpc-common";
import { describe, expect, test, vi } from "vitest";
import { CURSOR_HEADER, decodeCursor } from "../../../src/core/cursor.ts";
import type { MethodKind } from "../../../src/core/method.ts";
import { pin } from "../../../src/core/pin.ts";
import { aMethod } from "../../support/scripted.ts";

/** A context whose header a test looks at. */
function aContext(kind: MethodKind = "server-stream") {
  return { method: aMethod(kind), header: new Metadata(), sendHeader: vi.fn() };
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

  test.each<MethodKind>(["unary", "client-stream", "bidi"])("refuses a %s method, by its path", (kind) => {
    const message = `/test.Service/${kind}: pin is for server-streams; this is a ${kind} method`;
    expect(() => pin(aContext(kind), 1n)).toThrow(new TypeError(message));
  });
});
