import { Metadata } from "nice-grpc-common";
import { expect, test } from "vitest";
import { fieldBytes, MOST_METADATA_BYTES, metadataBytes, tooLarge } from "../../../src/core/metadata-size.ts";

test("a field counts its key, its value and 32 bytes, as HTTP/2 has it", () => {
  expect(fieldBytes("key", "value")).toBe(3 + 5 + 32);
  expect(fieldBytes("key", "")).toBe(3 + 32);
});

test.each([
  [0, 0],
  [1, 4],
  [3, 4],
  [4, 8],
])("%i bytes travel as %i of base64", (length, onWire) => {
  expect(fieldBytes("a-bin", new Uint8Array(length))).toBe("a-bin".length + onWire + 32);
});

test("metadata counts each value of a key with the key", () => {
  const metadata = new Metadata().set("a", "1").set("b-bin", [new Uint8Array(3), new Uint8Array(4)]);
  expect(metadataBytes(metadata)).toBe(1 + 1 + 32 + (5 + 4 + 32) + (5 + 8 + 32));
  expect(metadataBytes(new Metadata())).toBe(0);
});

test("as much as can be sent is not too large, and one byte more is", () => {
  expect(tooLarge(MOST_METADATA_BYTES)).toBeUndefined();
  expect(tooLarge(MOST_METADATA_BYTES + 1)).toBe(
    "57345 bytes of it, as HTTP/2 counts them, are more than the 57344 that can be",
  );
});
