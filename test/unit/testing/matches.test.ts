import { expect, test } from "vitest";
import { matches } from "../../../src/testing/matches.ts";

test.each<[string, unknown, unknown]>([
  ["nothing said", { orderId: "o-1" }, {}],
  ["one field of two", { orderId: "o-1", limit: 5 }, { limit: 5 }],
  ["a field that is not set, said to be so", { order: undefined }, { order: undefined }],
  ["a field that is not there, said to be so", {}, { order: undefined }],
  ["NaN", { ratio: Number.NaN }, { ratio: Number.NaN }],
  ["a message inside", { order: { customerId: "c-1", items: [] } }, { order: { customerId: "c-1" } }],
  ["a list, each element in part", { items: [{ sku: "a", quantity: 1 }, {}] }, { items: [{ sku: "a" }, {}] }],
  ["a oneof", { by: { $case: "id", value: "o-1" } }, { by: { $case: "id" } }],
  ["bytes of another kind", { key: Buffer.from([1, 2]) }, { key: new Uint8Array([1, 2]) }],
  ["no bytes", { key: Buffer.alloc(0) }, { key: new Uint8Array() }],
  ["a date", { at: new Date(5) }, { at: new Date(5) }],
  ["a bigint", { revision: 7n }, { revision: 7n }],
  ["a bigint as a number", { revision: 7n }, { revision: 7 }],
  ["a bigint as a text", { revision: -7n }, { revision: "-7" }],
])("matches %s", (_, actual, partial) => {
  expect(matches(actual, partial)).toBe(true);
});

test.each<[string, unknown, unknown]>([
  ["another value", { orderId: "o-1" }, { orderId: "o-2" }],
  ["a field that is set, said not to be", { orderId: "o-1" }, { orderId: undefined }],
  ["a field that the message does not have", { orderId: "o-1" }, { customerId: "c-1" }],
  ["another type", { limit: 0 }, { limit: "0" }],
  ["a message where none is", { order: undefined }, { order: {} }],
  ["another value inside", { order: { customerId: "c-1" } }, { order: { customerId: "c-2" } }],
  ["a shorter list", { items: [{}, {}] }, { items: [{}] }],
  ["a longer list", { items: [{}] }, { items: [{}, {}] }],
  ["a list in another order", { ids: [1, 2] }, { ids: [2, 1] }],
  ["another case of a oneof", { by: { $case: "id", value: "o-1" } }, { by: { $case: "name", value: "o-1" } }],
  ["other bytes", { key: Buffer.from([1, 2]) }, { key: new Uint8Array([1, 3]) }],
  ["fewer bytes", { key: Buffer.from([1, 2]) }, { key: new Uint8Array([1]) }],
  ["another date", { at: new Date(5) }, { at: new Date(6) }],
  ["a number for a date", { at: new Date(5) }, { at: 5 }],
  ["another bigint", { revision: 7n }, { revision: 8n }],
  ["a text that is no number for a bigint", { revision: 0n }, { revision: "" }],
  ["a fraction for a bigint", { revision: 0n }, { revision: 0.5 }],
  ["null", { order: {} }, { order: null }],
])("does not match %s", (_, actual, partial) => {
  expect(matches(actual, partial)).toBe(false);
});
