import { describe, expect, test } from "vitest";
import {
  type Cursor,
  decodeCursor,
  encodeCursor,
  integerLike,
  isAtOrBefore,
  isPosition,
  sameCursor,
  showCursor,
} from "../../../src/core/cursor.ts";

/** What `long` exports, as far as a position needs it. */
class LongLike {
  readonly #digits: string;
  readonly unsigned: boolean;

  constructor(digits: string, unsigned = false) {
    this.#digits = digits;
    this.unsigned = unsigned;
  }

  static fromString(digits: string, unsigned = false): LongLike {
    return new LongLike(digits, unsigned);
  }

  toString(): string {
    return this.#digits;
  }
}

const bytes = (...values: number[]) => Uint8Array.from(values);
const utf8 = (text: string) => new TextEncoder().encode(text);

/** How each type of a 64-bit field writes a number. */
const INTEGERS: [string, (digits: string) => Cursor][] = [
  ["bigint", (digits) => BigInt(digits)],
  ["number", (digits) => Number(digits)],
  ["decimal string", (digits) => digits],
  ["Long", (digits) => LongLike.fromString(digits)],
];

describe("isPosition", () => {
  test.each<[Cursor, boolean, boolean]>([
    [undefined, true, false],
    [null, true, false],
    [0n, true, false],
    [1n, true, true],
    [-1n, true, true],
    [0, true, false],
    [1, true, true],
    ["0", true, false],
    ["1", true, true],
    ["", true, false],
    [LongLike.fromString("0"), true, false],
    [LongLike.fromString("1"), true, true],
    ["", false, false],
    ["0", false, true],
    ["a", false, true],
    [bytes(), false, false],
    [bytes(0), false, true],
    [Buffer.from("a"), false, true],
  ])("of %o, ordered %o: %o", (cursor, ordered, expected) => {
    expect(isPosition(cursor, ordered)).toBe(expected);
  });
});

describe.each(INTEGERS)("a position that is a %s", (_, make) => {
  test.each(["1", "42", "9007199254740991"])("goes into the header as %s and comes back the same", (digits) => {
    const cursor = make(digits);
    expect(encodeCursor(cursor)).toEqual(utf8(digits));
    const back = decodeCursor(encodeCursor(cursor), make("0"));
    expect(back).toStrictEqual(cursor);
    expect(sameCursor(back, cursor)).toBe(true);
  });

  test("is compared as a number: 9 is before 10", () => {
    expect(isAtOrBefore(make("9"), make("10"))).toBe(true);
    expect(isAtOrBefore(make("10"), make("10"))).toBe(true);
    expect(isAtOrBefore(make("11"), make("10"))).toBe(false);
    expect(isAtOrBefore(make("-2"), make("-1"))).toBe(true);
  });

  test.each(["abc", "1.5", "1n"])("is not read off a header that has %j", (text) => {
    expect(() => decodeCursor(utf8(text), make("0"))).toThrow(SyntaxError);
  });

  test("is none where the header is empty", () => {
    expect(isPosition(decodeCursor(bytes(), make("0")), true)).toBe(false);
  });
});

test("64 bits are all there, signed and unsigned", () => {
  const [least, most, mostUnsigned] = [-(2n ** 63n), 2n ** 63n - 1n, 2n ** 64n - 1n];
  for (const cursor of [least, most, mostUnsigned]) expect(decodeCursor(encodeCursor(cursor), 0n)).toBe(cursor);
  const zero = LongLike.fromString("0", true);
  const read = integerLike(mostUnsigned, zero);
  expect([String(read), Reflect.get(read as object, "unsigned")]).toEqual(["18446744073709551615", true]);
});

describe("a position that is text", () => {
  test.each(["a", "0", "0x10", "\u{feff}a", "😀", " "])("%j goes into the header and comes back the same", (text) => {
    expect(decodeCursor(encodeCursor(text), "")).toBe(text);
  });

  test("is not read off a header that has no text: another would be asked for than was told", () => {
    expect(() => decodeCursor(bytes(0x61, 0xff), "")).toThrow(TypeError);
  });
});

test("bytes go into the header as they are", () => {
  expect(decodeCursor(encodeCursor(bytes(0, 255, 128)), bytes())).toEqual(bytes(0, 255, 128));
});

describe("sameCursor", () => {
  test.each<[Cursor, Cursor, boolean]>([
    [bytes(1, 2), bytes(1, 2), true],
    [bytes(1, 2), Buffer.from([1, 2]), true],
    [bytes(1, 2), bytes(1, 3), false],
    [bytes(1, 2), bytes(1, 2, 3), false],
    [bytes(1, 2, 3), bytes(1, 2), false],
    ["a", "a", true],
    ["a", "A", false],
    ["1,2", bytes(1, 2), false],
    ["1", 1, false],
    [1n, 1n, true],
  ])("of %o and %o: %o", (one, other, expected) => {
    expect(sameCursor(one, other)).toBe(expected);
  });
});

test("logs have bytes in hexadecimal, all else as text", () => {
  const shown = [bytes(0, 15, 255), 42n, "a", LongLike.fromString("7")].map(showCursor);
  expect(shown).toEqual(["000fff", "42", "a", "7"]);
});

test("a number that JavaScript would round is refused", () => {
  expect(integerLike(9_007_199_254_740_991n, 0)).toBe(Number.MAX_SAFE_INTEGER);
  expect(() => integerLike(9_007_199_254_740_993n, 0)).toThrow(
    new RangeError("9007199254740993 is no safe integer: have ts-proto use bigint"),
  );
});
