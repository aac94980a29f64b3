import { Metadata as GrpcMetadata } from "@grpc/grpc-js";
import { Metadata } from "nice-grpc-common";
import { describe, expect, test } from "vitest";
import { asBuffer, fromGrpcMetadata, toGrpcMetadata } from "../../../src/transport/metadata.ts";

describe("metadata", () => {
  test("goes to grpc-js and back, several values and bytes included", () => {
    const bytes = [new Uint8Array([1, 2]), new Uint8Array([3])];
    const there = toGrpcMetadata(new Metadata({ a: "b", "c-bin": bytes }));
    there.add("several", "1");
    there.add("several", "2");
    const back = fromGrpcMetadata(there);
    expect(back.getAll("a")).toEqual(["b"]);
    expect(back.getAll("several")).toEqual(["1, 2"]);
    expect(back.getAll("c-bin").map((value) => [...(value as Uint8Array)])).toEqual([[1, 2], [3]]);
  });

  test("a header of our own replaces the application's of the same name", () => {
    const metadata = toGrpcMetadata(new Metadata({ "X-Key": "theirs" }), { "x-key": "ours" });
    expect(metadata.get("x-key")).toEqual(["ours"]);
  });

  test.each<[string, unknown, Record<string, string> | undefined, string]>([
    ["the application's", new Map([["x-key", ["fine", "s3cr3t\n"]]]), undefined, "x-key"],
    ["a header's", undefined, { authorization: "s3cr3t\n" }, "authorization"],
  ])("that cannot be sent is named, and not quoted: %s", (_, metadata, headers, key) => {
    const says = "cannot be sent: a text has printable ASCII alone; bytes go under a key that ends in -bin";
    const error = new TypeError(`the metadata "${key}" ${says}`);
    expect(() => toGrpcMetadata(metadata as never, headers)).toThrow(error);
  });

  test("of nothing is empty", () => {
    expect(toGrpcMetadata(undefined).getMap()).toEqual({});
    expect([...fromGrpcMetadata(new GrpcMetadata())]).toEqual([]);
  });
});

describe("asBuffer", () => {
  test("is the same bytes, not a copy, also of a part of a larger array", () => {
    const part = new Uint8Array([0, 1, 2, 3]).subarray(1, 3);
    const buffer = asBuffer(part);
    expect([...buffer]).toEqual([1, 2]);
    part[0] = 9;
    expect([...buffer]).toEqual([9, 2]);
  });

  test("is a Buffer itself", () => {
    const buffer = Buffer.from("a");
    expect(asBuffer(buffer)).toBe(buffer);
  });
});
