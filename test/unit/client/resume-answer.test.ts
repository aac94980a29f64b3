import { expect, test } from "vitest";
import { Order, WatchOrdersRequest } from "../../../gen/shop/orders/v1/orders.ts";
import { checkAnswer } from "../../../src/client/layers/resume-answer.ts";
import { resolveResume } from "../../../src/contract/resolve.ts";
import { accessOf } from "../../support/resuming.ts";

const PATH = "/shop.orders.v1.OrderService/WatchOrders";
const FIELDS = "there are customerId, afterRevision";

const completeRequest = (message: unknown) => WatchOrdersRequest.fromPartial(message as object);

/** Looks at an answer to a stream that begins at the first message, where no position is said. */
function check(answer: unknown, complete: (message: unknown) => unknown = completeRequest) {
  const context = { access: accessOf("int64"), options: resolveResume({ fromStart: true }), complete };
  return () => checkAnswer(answer, { cursor: undefined }, PATH, context);
}

test.each<[string, object]>([
  ["nothing, for the start", {}],
  ["a request without a position", { customerId: "c-1" }],
  ["a whole request", WatchOrdersRequest.create({ afterRevision: 90n })],
  ["what is left undefined, whatever its name", { afterRevision: 90n, afterRevison: undefined, other: null }],
  ["ts-proto's own keys", { $type: "shop.orders.v1.WatchOrdersRequest", _unknownFields: {}, afterRevision: 90n }],
])("%s is taken", (_, answer) => {
  expect(check(answer)).not.toThrow();
});

test.each<[string, object, string]>([
  ["a misspelt field", { afterRevison: 90n }, `the request has no field afterRevison; ${FIELDS}`],
  [
    "one beside others",
    { customerId: "c-1", after_revision: 9n },
    `the request has no field after_revision; ${FIELDS}`,
  ],
  ["what every object inherits", { toString: 1 }, `the request has no field toString; ${FIELDS}`],
  [
    "another message, each of its fields",
    { orderId: "o-1", totalCents: 5n },
    `the request has no field orderId; ${FIELDS}; the request has no field totalCents; ${FIELDS}`,
  ],
])("%s is refused", (_, answer, text) => {
  expect(check(answer)).toThrow(new TypeError(`${PATH}: onExpired's answer is refused: ${text}`));
});

test("all that is wrong is listed at once", () => {
  const context = { access: accessOf("int64"), options: resolveResume({}), complete: completeRequest };
  const answer = { afterRevison: 90n };
  expect(() => checkAnswer(answer, { cursor: undefined }, PATH, context)).toThrow(
    /no field afterRevison; .*; after says no position/,
  );
});

test("a field that is set to what it has by default is a field, in a message that leaves out what it does not say", () => {
  // As ts-proto prints it with initializeFieldsAsUndefined=false.
  const complete = (message: unknown) => ({ limit: (message as { limit?: number }).limit ?? 0 });
  expect(check({ limit: 0 }, complete)).not.toThrow();
});

test("what cannot be encoded is left to the attempt, which says why", () => {
  const answer = { items: 5, afterRevison: 90n };
  expect(() => Order.fromPartial(answer as never)).toThrow();
  expect(check(answer, (message) => Order.fromPartial(message as never))).not.toThrow();
});

test("nobody knows the fields of plain nice-grpc's messages", () => {
  const context = { access: accessOf("int64"), options: resolveResume({ fromStart: true }) };
  expect(() => checkAnswer({ afterRevison: 90n }, { cursor: undefined }, PATH, context)).not.toThrow();
});
