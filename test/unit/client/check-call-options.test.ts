import { describe, expect, test } from "vitest";
import { CALL_OPTIONS } from "../../../src/client/call-option-names.ts";
import { callOptionsCheck } from "../../../src/client/check-call-options.ts";
import { aMethod } from "../../support/scripted.ts";

const checkAll = callOptionsCheck(CALL_OPTIONS);
const whatIsSaid = (options: unknown, kind: Parameters<typeof aMethod>[0] = "unary", sendsKeys = true) =>
  checkAll(options as never, aMethod(kind), sendsKeys);
const refused = (text: string, kind = "unary") => new TypeError(`/test.Service/${kind}: ${text}`);

const milliseconds = "timeoutMs must be a number of milliseconds; it is";
const date = "deadline must be a Date (timeoutMs takes milliseconds); it is";
const count = "maxAttempts must be a whole number of at least 1; it is";
const criticality = "criticality must be sheddable or sheddable_plus or critical or critical_plus; it is";
const ascii = "idempotencyKey must have printable ASCII characters alone, and neither space nor comma";

test.each<[object, string]>([
  [{ timeoutMs: "20" }, `${milliseconds} "20"`],
  [{ timeoutMs: Number.NaN }, `${milliseconds} NaN`],
  [{ timeoutMs: null }, `${milliseconds} null`],
  [{ deadline: 5 }, `${date} 5`],
  [{ deadline: new Date(Number.NaN) }, `${date} Invalid Date`],
  [{ signal: new AbortController() }, "signal must be an AbortSignal; it is [object AbortController]"],
  [{ signal: null }, "signal must be an AbortSignal; it is null"],
  [{ inherit: 0 }, "inherit must be true or false; it is 0"],
  [{ waitForReady: "true" }, 'waitForReady must be true or false; it is "true"'],
  [{ retry: "false" }, 'retry must be true or false; it is "false"'],
  [{ cache: "no" }, 'cache must be true or false; it is "no"'],
  ...[0, -1, 1.5, Number.NaN, Number.POSITIVE_INFINITY, null].map((bad): [object, string] => [
    { maxAttempts: bad },
    `${count} ${bad}`,
  ]),
  [{ maxAttempts: "2" }, `${count} "2"`],
  [{ partition: 7 }, "partition must be a text; it is 7"],
  ...[1, "urgent", "", "CRITICAL"].map((bad): [object, string] => [
    { criticality: bad },
    `${criticality} ${JSON.stringify(bad)}`,
  ]),
  [{ idempotencyKey: "" }, "idempotencyKey must have from 1 to 255 characters; it has 0"],
  [{ idempotencyKey: "x".repeat(256) }, "idempotencyKey must have from 1 to 255 characters; it has 256"],
  ...["a b", "a,b", "é", "a\u007f"].map((bad): [object, string] => [{ idempotencyKey: bad }, ascii]),
  [{ idempotencyKey: 7 }, "idempotencyKey must be a text; it is number"],
  [{ onHeader: {} }, "onHeader must be a function; it is [object Object]"],
  [{ onTrailer: 1 }, "onTrailer must be a function; it is 1"],
  [{ onCached: true }, "onCached must be a function; it is true"],
  [{ onExpired: "f" }, 'onExpired must be a function; it is "f"'],
  [Object.create({ retry: 1 }), "retry must be true or false; it is 1"],
])("%j is refused", (options, text) => {
  expect(() => whatIsSaid(options)).toThrow(refused(text));
});

test.each([null, 5, "text", () => {}])("what is no object is refused: %s", (options) => {
  expect(() => whatIsSaid(options)).toThrow(refused(`the options must be an object; they are ${options}`));
});

test.each([
  {},
  { timeoutMs: Number.POSITIVE_INFINITY, maxAttempts: 1, retry: false, cache: false, partition: "" },
  { timeoutMs: 0 },
  { timeoutMs: -1, deadline: new Date(0) },
  { signal: AbortSignal.abort(), criticality: "sheddable_plus", idempotencyKey: "k" },
  Object.fromEntries(Object.keys(CALL_OPTIONS).map((name) => [name, undefined])),
  { traced: "yes", retryMaxAttempts: 0 },
  { metadata: 5 },
])("%j passes: what is not given, what is computed, and what others know or look at", (options) => {
  expect(() => whatIsSaid(options)).not.toThrow();
});

test("everything that is wrong is told at once", () => {
  const options = { maxAttempts: 0, timeoutMs: "20", traced: 0, retry: "false", signal: undefined };
  const text = `${count} 0; ${milliseconds} "20"; retry must be true or false; it is "false"`;
  expect(() => whatIsSaid(options)).toThrow(refused(text));
});

test("a middleware by itself looks at its own: others may mean something else by the same name", () => {
  const check = callOptionsCheck({ retry: true });
  expect(() => check({ deadline: 5, maxAttempts: 0, idempotencyKey: "" } as never, aMethod(), false)).not.toThrow();
  expect(() => check({ retry: 0 } as never, aMethod(), false)).toThrow(refused("retry must be true or false; it is 0"));
});

describe("an idempotency key that nobody would send", () => {
  test("is refused, with what to do", () => {
    const text =
      "idempotencyKey would not be sent, and a repetition be done twice: give the method an idempotency_key in its contract, or, where its server takes keys all the same, use idempotencyKey()";
    expect(() => whatIsSaid({ idempotencyKey: "k" }, "unary", false)).toThrow(refused(text));
    expect(() => whatIsSaid({ idempotencyKey: undefined }, "unary", false)).not.toThrow();
  });

  test.each(["server-stream", "client-stream", "bidi"] as const)("is refused on a %s", (kind) => {
    const text = "idempotencyKey is for unary methods alone: this one streams, and no key would be sent";
    expect(() => whatIsSaid({ idempotencyKey: "k" }, kind, false)).toThrow(refused(text, kind));
  });
});
