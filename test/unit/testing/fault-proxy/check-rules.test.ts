import { type FaultRule, faultProxy } from "bowline/testing";
import { describe, expect, test } from "vitest";
import { checkProxy } from "../../../../src/testing/fault-proxy/check-rules.ts";

const TARGET = "127.0.0.1:50051";

function problemsOf(rules: unknown[], target: unknown = TARGET, options: unknown = {}): string {
  try {
    checkProxy(target as string, options, rules as FaultRule[]);
    return "";
  } catch (error) {
    expect(error).toBeInstanceOf(TypeError);
    return (error as TypeError).message;
  }
}

const CODE = `must be one of HTTP/2's codes, such as "REFUSED_STREAM"`;

describe("what is wrong with a rule", () => {
  test.each<[unknown, string]>([
    [7, "rules[0] must be an object; it is 7"],
    [null, "rules[0] must be an object; it is null"],
    [{ fault: "cut" }, "rules[0].on must be 'connection' or 'call'; it is undefined"],
    [
      { on: "call", fault: "corrupt" },
      "rules[0].fault must be 'reset' or 'cut' or 'silent' or 'goaway' or 'status' or 'drop' or 'delay'; it is 'corrupt'",
    ],
    [
      { on: "connection", fault: "toString" },
      "rules[0].fault must be 'cut' or 'half-open' or 'corrupt' or 'silent' or 'delay' or 'throttle'; it is 'toString'",
    ],
    [
      { on: "connection", method: "GetOrder", fault: "silent" },
      "there is no option rules[0].method; there are on, fault, every, first, nth, ratio",
    ],
    [
      { on: "connection", fault: "cut", afterBytes: -1 },
      "rules[0].afterBytes must be a whole number of at least 0; it is -1",
    ],
    [
      { on: "connection", fault: "cut", towards: "both" },
      "rules[0].towards must be 'client' or 'server'; it is 'both'",
    ],
    [{ on: "connection", fault: "delay" }, "rules[0] takes delayMs"],
    [
      { on: "connection", fault: "throttle", bytesPerSecond: 0 },
      "rules[0].bytesPerSecond must be greater than zero; it is 0",
    ],
    [
      { on: "call", fault: "delay", delayMs: Number.POSITIVE_INFINITY },
      "rules[0].delayMs must be finite, zero or greater; it is Infinity",
    ],
    [{ on: "call", every: 0, fault: "drop" }, "rules[0].every must be a whole number of at least 1; it is 0"],
    [{ on: "call", nth: [], fault: "drop" }, "rules[0].nth must be a list of whole numbers from 1 on; it is []"],
    [{ on: "call", nth: [0], fault: "drop" }, "rules[0].nth must be a list of whole numbers from 1 on; it is [ 0 ]"],
    [{ on: "call", ratio: 30, fault: "drop" }, "rules[0].ratio must be a number from 0 to 1; it is 30"],
    [
      { on: "call", first: 1, ratio: 0.5, fault: "drop" },
      "rules[0] takes one of every, first, nth, ratio; it has first, ratio",
    ],
    [
      { on: "call", method: "Get Order", fault: "drop" },
      "rules[0].method must be like GetOrder or /package.Service/GetOrder; it is 'Get Order'",
    ],
    [
      { on: "call", fault: "drop", clientSees: "silence" },
      "rules[0].clientSees must be 'reset' or 'cut' or 'silent'; it is 'silence'",
    ],
    [{ on: "call", fault: "drop", clientSees: "cut", code: "CANCEL" }, 'rules[0].code goes with clientSees "reset"'],
    [{ on: "call", fault: "reset", code: 8 }, `rules[0].code ${CODE}; it is 8`],
    [{ on: "call", fault: "reset", code: "UNAVAILABLE" }, `rules[0].code ${CODE}; it is 'UNAVAILABLE'`],
    [
      { on: "call", fault: "reset", afterMessages: 1.5 },
      "rules[0].afterMessages must be a whole number of at least 0; it is 1.5",
    ],
    [
      { on: "call", fault: "goaway", lastStream: "next" },
      `rules[0].lastStream must be "this", "previous" or a client's stream, which has an odd number; it is 'next'`,
    ],
    [
      { on: "call", fault: "goaway", lastStream: 2 },
      `rules[0].lastStream must be "this", "previous" or a client's stream, which has an odd number; it is 2`,
    ],
    [{ on: "call", fault: "status" }, "rules[0] takes code"],
    [
      { on: "call", fault: "status", code: 14 },
      `rules[0].code must be a status's name, such as "UNAVAILABLE"; it is 14`,
    ],
    [
      { on: "call", fault: "status", code: "OK", pushbackMs: "soon" },
      "rules[0].pushbackMs must be whole milliseconds; it is 'soon'",
    ],
    [{ on: "call", fault: "status", code: "OK", details: 1 }, "rules[0].details must be a text; it is 1"],
    [{ on: "call", fault: "status", code: "OK", trailer: "x" }, "rules[0].trailer must be an object; it is 'x'"],
    [
      {
        on: "call",
        fault: "status",
        code: "OK",
        trailer: { "X-Key": "1", "x-key-bin": "1", te: "1", "x-a": ["1", "ä"] },
      },
      'rules[0].trailer cannot be sent: "X-Key": a key has digits, small letters, _, - and . alone, ' +
        '"x-key-bin": a key that ends in -bin takes bytes, "te": HTTP/2 does not leave "te" to a call, ' +
        '"x-a": it takes printable ASCII; bytes go under a key that ends in -bin',
    ],
  ])("%j", (rule, problem) => {
    expect(problemsOf([rule])).toBe(`faultProxy: ${problem}`);
  });
});

describe("what is right", () => {
  test.each<FaultRule>([
    { on: "connection", fault: "cut" },
    { on: "connection", every: 2, fault: "half-open", afterBytes: 0, towards: "server" },
    { on: "connection", ratio: 0, fault: "corrupt", afterBytes: 4_096 },
    { on: "connection", fault: "throttle", bytesPerSecond: 0.5 },
    { on: "call", method: "/shop.orders.v1.OrderService/GetOrder", fault: "reset", code: "REFUSED_STREAM" },
    { on: "call", method: "GetOrder", fault: "goaway", code: "NO_ERROR", lastStream: 2_147_483_647 },
    { on: "call", nth: [1, 3], fault: "status", code: "OK", pushbackMs: -1, trailer: { "x-a": ["1", "2"] } },
    {
      on: "call",
      fault: "status",
      code: "ABORTED",
      trailer: { "grpc-retry-pushback-ms": "soon", "x-bin": Buffer.of(1) },
    },
    { on: "call", fault: "drop", code: "CANCEL" },
  ])("%j", (rule) => {
    expect(problemsOf([rule])).toBe("");
  });

  test.each<[string, object]>([
    ["127.0.0.1:1", { host: "127.0.0.1", port: 1 }],
    ["orders.internal:65535", { host: "orders.internal", port: 65_535 }],
    ["dns:///localhost:50051", { host: "localhost", port: 50_051 }],
    ["[::1]:50051", { host: "::1", port: 50_051 }],
  ])("the target %s", (target, address) => {
    expect(checkProxy(target, {}, [])).toEqual(address);
  });
});

test.each<[unknown, string]>([
  ["127.0.0.1", "'127.0.0.1'"],
  ["127.0.0.1:0", "'127.0.0.1:0'"],
  ["127.0.0.1:70000", "'127.0.0.1:70000'"],
  ["http://127.0.0.1:50051", "'http://127.0.0.1:50051'"],
  ["unix:/tmp/orders", "'unix:/tmp/orders'"],
  [50_051, "50051"],
])("the target %j is none", (target, shown) => {
  expect(problemsOf([], target)).toBe(
    `faultProxy: the target must be host:port, such as 127.0.0.1:50051; it is ${shown}`,
  );
});

test("everything at once, each with its place, before any process is started", async () => {
  const bad = [
    { on: "call", fault: "drop" },
    { on: "call", fault: "delay", first: 0 },
  ] as unknown as FaultRule[];
  await expect(faultProxy("orders", { seed: -1 }).script(...bad)).rejects.toThrow(
    new TypeError(
      "faultProxy: the target must be host:port, such as 127.0.0.1:50051; it is 'orders'; " +
        "seed must be a whole number below 2^32; it is -1; " +
        "rules[1].first must be a whole number of at least 1; it is 0; rules[1] takes delayMs",
    ),
  );
});
