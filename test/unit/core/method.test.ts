import { describe, expect, test } from "vitest";
import { type Codec, EncodedMessage, encodeMessage, methodKind } from "../../../src/core/method.ts";

test.each([
  [false, false, "unary"],
  [false, true, "server-stream"],
  [true, false, "client-stream"],
  [true, true, "bidi"],
])("request stream %s and response stream %s is %s", (requestStream, responseStream, kind) => {
  expect(methodKind(requestStream, responseStream)).toBe(kind);
});

describe("encodeMessage", () => {
  const codec: Codec = { encode: (message) => new TextEncoder().encode(String(message)), decode: () => undefined };

  test("encodes a message", () => {
    expect(encodeMessage(codec, "ab")).toEqual(new Uint8Array([97, 98]));
  });

  test("sends what is encoded already as it is", () => {
    const bytes = new Uint8Array([1, 2, 3]);
    expect(encodeMessage(codec, new EncodedMessage(bytes))).toBe(bytes);
  });
});
