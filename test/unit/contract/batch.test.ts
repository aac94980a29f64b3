import { expect, test } from "vitest";
import { type BatchAccess, readEntry } from "../../../src/contract/batch.ts";

const access: BatchAccess = { method: "getMany", requestsField: "requests", responsesField: "entries" };
const order = { id: "o-1" };
const status = { code: 5, message: "none such", details: [] };
const plain: Partial<BatchAccess> = { responseField: "order", statusField: "status" };
const packed: Partial<BatchAccess> = { ...plain, responseOneof: "result", statusOneof: "result" };

test.each<[string, object, Partial<BatchAccess>, object]>([
  ["is the response itself", order, {}, { response: order, status: undefined }],
  ["is the response, and says what was wrong", { status }, { statusField: "status" }, { response: { status }, status }],
  ["has a field for each", { order, status: undefined }, plain, { response: order, status: undefined }],
  ["has none of them", { order: undefined, status: null }, plain, { response: undefined, status: undefined }],
  ["is empty", {}, packed, { response: undefined, status: undefined }],
  ["has an empty oneof", { result: undefined }, packed, { response: undefined, status: undefined }],
  ["has a oneof's value", { result: { $case: "order", value: order } }, packed, { response: order, status: undefined }],
  [
    "has a oneof's other value",
    { result: { $case: "status", value: status } },
    packed,
    { response: undefined, status },
  ],
  ["has a oneof by name", { result: { $case: "order", order } }, packed, { response: order, status: undefined }],
  ["has something else", { result: { $case: "other", value: 1 } }, packed, { response: undefined, status: undefined }],
])("an entry that %s", (_, entry, more, expected) => {
  expect(readEntry(entry as Record<string, unknown>, { ...access, ...more })).toEqual(expected);
});
