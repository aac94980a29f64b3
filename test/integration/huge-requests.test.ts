import { create, type DescMessage, toBinary } from "@bufbuild/protobuf";
import { protovalidate } from "bowline/validate";
import { expect, test } from "vitest";
import { DescriptorRegistry } from "../../src/server/descriptor-registry.ts";
import { sizeCheck } from "../../src/validate/size-limits.ts";
import { validatedContracts } from "../support/validated.ts";

const HUGE = `syntax = "proto3"; package huge.v1;
import "buf/validate/validate.proto";
service HugeService { rpc Put(PutRequest) returns (PutRequest); }
message Item { string sku = 1 [(buf.validate.field).string.min_len = 1]; Group group = 2; Item child = 3; }
message Group { repeated string items = 1 [(buf.validate.field).repeated.max_items = 2]; }
message PutRequest {
  repeated Item items = 1 [(buf.validate.field).repeated.max_items = 2];
  map<string, string> labels = 2 [(buf.validate.field).map.max_pairs = 2];
  repeated string ignored = 3 [(buf.validate.field).repeated.max_items = 1, (buf.validate.field).ignore = IGNORE_ALWAYS];
  repeated int32 numbers = 4 [(buf.validate.field).repeated.max_items = 2];
  Item item = 5;
  repeated Item unchecked = 6 [(buf.validate.field).repeated.items.ignore = IGNORE_ALWAYS];
  repeated Item free = 7;
  Item skipped = 8 [(buf.validate.field).ignore = IGNORE_ALWAYS];
}
`;

const contractOf = await validatedContracts("huge", { "huge/v1/huge.proto": HUGE });
const validation = protovalidate();
const { types } = new DescriptorRegistry([contractOf("HugeService")], validation.files);
const type = types.getMessage("huge.v1.PutRequest") as DescMessage;
const check = validation.compile(types)(type);
const count = sizeCheck(type);

const item = { sku: "s" };
const three = { items: ["a", "b", "c"] };
const encode = (message: object) => toBinary(type, create(type, message as never));

test.each<[string, object, string | undefined]>([
  ["nothing", {}, undefined],
  ["as many as there may be", { items: [item, item], labels: { a: "", b: "" } }, undefined],
  ["a list that is too long", { items: [item, item, item] }, "items"],
  ["a map that is too long", { labels: { a: "", b: "", c: "" } }, "labels"],
  ["a list in a message", { item: { ...item, child: { ...item, group: three } } }, "item.child.group.items"],
  ["a list in a list", { free: [item, { ...item, group: three }] }, "free[1].group.items"],
  ["two lists, each in its own", { free: [0, 1].map(() => ({ ...item, group: { items: ["a", "b"] } })) }, undefined],
  ["what is ignored", { ignored: ["a", "b"], skipped: { group: three }, unchecked: [{ group: three }] }, undefined],
])("counted before it is decoded is what the rules say: %s", (_, message, field) => {
  const bytes = encode(message);
  const [violation] = check(bytes);
  expect(violation?.field).toBe(field);
  expect(count(bytes)).toEqual(violation);
});

test("numbers, which are packed, are left to the rules", () => {
  const bytes = encode({ numbers: [1, 2, 3] });
  expect(count(bytes)).toBeUndefined();
  expect(check(bytes)).toMatchObject([{ field: "numbers", reason: "repeated.max_items" }]);
});

/** So many empty items as a megabyte has room for. */
const million = (field: number) =>
  Uint8Array.from({ length: 1_000_000 }, (_, n) => (n % 2 === 0 ? (field << 3) | 2 : 0));

test("of half a million items, the one that is too many is all that is told, and none is decoded", () => {
  // What stands behind it is no message: nobody reads it.
  const damaged = new Uint8Array([...million(1), 0x0f]);
  expect(check(damaged)).toMatchObject([{ field: "items", reason: "repeated.max_items" }]);
});

test("of half a million items that are all wrong, where there may be as many, the first is told", () => {
  expect(check(million(7))).toMatchObject([{ field: "free[0].sku", reason: "string.min_len" }]);
});
