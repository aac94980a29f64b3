import { describe, expect, test, vi } from "vitest";
import { type Codec, encodeMessage } from "../../../src/core/method.ts";
import { shareEncoding } from "../../../src/core/shared-encoding.ts";
import { collectGarbage } from "../../support/collect-garbage.ts";

function aCodec() {
  const encode = vi.fn((message: unknown) => new TextEncoder().encode(JSON.stringify(message)));
  const codec: Codec = { encode, decode: () => undefined };
  return { codec, encode };
}

describe("a shared message", () => {
  test("is encoded once, however often it is sent", () => {
    const { codec, encode } = aCodec();
    const message = { a: 1 };
    shareEncoding(message);
    const bytes = encodeMessage(codec, message);
    expect(encodeMessage(codec, message)).toBe(bytes);
    expect(new TextDecoder().decode(bytes)).toBe('{"a":1}');
    expect(encode).toHaveBeenCalledTimes(1);
  });

  test("is encoded once by each codec", () => {
    const [one, other] = [aCodec(), aCodec()];
    const message = { a: 1 };
    shareEncoding(message);
    for (const { codec } of [one, other, one, other]) encodeMessage(codec, message);
    expect([one, other].map(({ encode }) => encode.mock.calls.length)).toEqual([1, 1]);
  });

  test("shared again keeps its bytes", () => {
    const { codec, encode } = aCodec();
    const message = { a: 1 };
    shareEncoding(message);
    encodeMessage(codec, message);
    shareEncoding(message);
    encodeMessage(codec, message);
    expect(encode).toHaveBeenCalledTimes(1);
  });

  test("may be frozen, and looks as it did", () => {
    const { codec, encode } = aCodec();
    const message = Object.freeze({ a: 1 });
    shareEncoding(message);
    expect([encodeMessage(codec, message), encodeMessage(codec, message)].length).toBe(2);
    expect(encode).toHaveBeenCalledTimes(1);
    expect(Reflect.ownKeys(message)).toEqual(["a"]);
    expect(structuredClone(message)).toEqual({ a: 1 });
  });

  test("does not hand its bytes to a copy", () => {
    const { codec } = aCodec();
    const message = { a: 1 };
    shareEncoding(message);
    encodeMessage(codec, message);
    expect(new TextDecoder().decode(encodeMessage(codec, { ...message, a: 2 }))).toBe('{"a":2}');
  });

  test("that has no bytes is encoded once too", () => {
    const encode = vi.fn(() => new Uint8Array());
    const codec: Codec = { encode, decode: () => undefined };
    const message = {};
    shareEncoding(message);
    for (let sent = 0; sent < 3; sent += 1) encodeMessage(codec, message);
    expect(encode).toHaveBeenCalledTimes(1);
  });

  test("that cannot be encoded is not encoded the next time either", () => {
    const encode = vi.fn((): Uint8Array => {
      throw new RangeError("too long");
    });
    const codec: Codec = { encode, decode: () => undefined };
    const message = {};
    shareEncoding(message);
    for (let sent = 0; sent < 2; sent += 1) expect(() => encodeMessage(codec, message)).toThrow("too long");
  });

  test("and its bytes are forgotten with it", async () => {
    const codec: Codec = { encode: () => new Uint8Array([1]), decode: () => undefined };
    const made = (() => {
      const message = { a: 1 };
      shareEncoding(message);
      return [new WeakRef(message), new WeakRef(encodeMessage(codec, message))];
    })();
    await collectGarbage();
    expect(made.map((reference) => reference.deref())).toEqual([undefined, undefined]);
  });
});

test("any other message is encoded each time", () => {
  const { codec, encode } = aCodec();
  shareEncoding({ a: 1 });
  const message = { a: 1 };
  expect(encodeMessage(codec, message)).not.toBe(encodeMessage(codec, message));
  expect(encode).toHaveBeenCalledTimes(2);
});

test.each(["text", 1, null, undefined])("%j is nothing to share", (message) => {
  const { codec, encode } = aCodec();
  shareEncoding(message);
  encodeMessage(codec, message);
  encodeMessage(codec, message);
  expect(encode).toHaveBeenCalledTimes(2);
});
