import { expect, test } from "vitest";
import { Order, WatchOrdersRequest } from "../../../gen/shop/orders/v1/orders.ts";
import { checkAnswer } from "../../../src/client/layers/resume-answer.ts";
import { resolveResume } from "../../../src/contract/resolve.ts";
import { accessOf } from "../../support/resuming.ts";

const PATH = "/shop.orders.v1.OrderService/WatchOrders";
const FIELDS = "there are customerId, afterRevision";

const access = { ...accessOf("int64"), requestField: "afterRevision" };
const MISSING =
  "afterRevision is missing: say where to go on, 0 or empty for the start, or answer undefined, which ends the call";

const completeRequest = (message: unknown) => WatchOrdersRequest.fromPartial(message as object);

/** Looks at an answer to a stream that begins at the first message, where no position is said. */
function check(answer: unknown, complete: (message: unknown) => unknown = completeRequest) {
  const context = { access, options: resolveResume({ fromStart: true }), complete };
  return () => checkAnswer(answer, { cursor: undefined }, PATH, context);
}

test.each<[string, object]>([
  ["0, for the start", { afterRevision: 0n }],
  ["0 in a request", { customerId: "c-1", afterRevision: 0n }],
  ["a whole request that leaves it at 0", WatchOrdersRequest.create({ customerId: "c-1" })],
  ["a whole request", WatchOrdersRequest.create({ afterRevision: 90n })],
  ["what is left undefined, whatever its name", { afterRevision: 90n, afterRevison: undefined, other: null }],
  ["ts-proto's own keys", { $type: "shop.orders.v1.WatchOrdersRequest", _unknownFields: {}, afterRevision: 90n }],
])("%s is taken", (_, answer) => {
  expect(check(answer)).not.toThrow();
});

test.each<[string, object, string]>([
  ["nothing", {}, MISSING],
  ["a request without a position", { customerId: "c-1" }, MISSING],
  ["a position that is undefined", { afterRevision: undefined }, MISSING],
  ["a position that is null", { afterRevision: null }, MISSING],
  ["a misspelt field", { afterRevison: 90n }, `the request has no field afterRevison; ${FIELDS}; ${MISSING}`],
  [
    "one beside others",
    { customerId: "c-1", after_revision: 9n },
    `the request has no field after_revision; ${FIELDS}; ${MISSING}`,
  ],
  ["what every object inherits", { toString: 1, afterRevision: 9n }, `the request has no field toString; ${FIELDS}`],
  [
    "another message, each of its fields",
    { orderId: "o-1", totalCents: 5n },
    `the request has no field orderId; ${FIELDS}; the request has no field totalCents; ${FIELDS}; ${MISSING}`,
  ],
])("%s is refused", (_, answer, text) => {
  expect(check(answer)).toThrow(new TypeError(`${PATH}: onExpired's answer is refused: ${text}`));
});

test("all that is wrong is listed at once", () => {
  const context = { access, options: resolveResume({}), complete: completeRequest };
  const answer = { afterRevison: 90n };
  expect(() => checkAnswer(answer, { cursor: undefined }, PATH, context)).toThrow(
    /no field afterRevison; .*; afterRevision says no position/,
  );
});

test("a field that is set to what it has by default is a field, in a message that leaves out what it does not say", () => {
  // As ts-proto prints it with initializeFieldsAsUndefined=false.
  const complete = (message: unknown) => ({ limit: (message as { limit?: number }).limit ?? 0 });
  const context = {
    access: { ...access, requestField: "limit" },
    options: resolveResume({ fromStart: true }),
    complete,
  };
  expect(() => checkAnswer({ limit: 0 }, { cursor: undefined }, PATH, context)).not.toThrow();
});

test("what cannot be encoded is left to the attempt, which says why", () => {
  const answer = { items: 5, afterRevison: 90n, afterRevision: 90n };
  expect(() => Order.fromPartial(answer as never)).toThrow();
  expect(check(answer, (message) => Order.fromPartial(message as never))).not.toThrow();
});

test("nobody knows the fields of plain nice-grpc's messages", () => {
  const context = { access, options: resolveResume({ fromStart: true }) };
  expect(() =>
    checkAnswer({ afterRevison: 90n, afterRevision: 0n }, { cursor: undefined }, PATH, context),
  ).not.toThrow();
});
