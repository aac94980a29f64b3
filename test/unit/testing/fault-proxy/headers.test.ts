import { sensitiveHeaders } from "node:http2";
import { expect, test } from "vitest";
import { headerOf, toHeaders } from "../../../../src/testing/fault-proxy/headers.ts";
import { injectedStatus } from "../../../../src/testing/fault-proxy/injected-status.ts";

test("a repeated key keeps each of its values, commas included, in order", () => {
  const raw = [":status", "200", "x-key", "a, b", "x-bin", "AQ==", "x-key", "c", "x-bin", "Ag=="];
  const joined = { ":status": "200", "x-key": "a, b, c", "x-bin": "AQ==, Ag==" };
  expect({ ...toHeaders(raw, joined) }).toEqual({
    ":status": "200",
    "x-key": ["a, b", "c"],
    "x-bin": ["AQ==", "Ag=="],
  });
});

test("what must not be indexed stays so", () => {
  const passed = toHeaders(["authorization", "secret"], {
    authorization: "secret",
    [sensitiveHeaders]: ["authorization"],
  });
  expect(Reflect.get(passed, sensitiveHeaders)).toEqual(["authorization"]);
});

test("a key named __proto__ is a key like any other", () => {
  expect(headerOf(toHeaders(["__proto__", "a"], {}), "__proto__")).toBe("a");
});

test("an injected status is a whole answer", () => {
  const rule = {
    ...({ on: "call", fault: "status", code: "RESOURCE_EXHAUSTED" } as const),
    details: "100 % größer\n",
    pushbackMs: -1,
    trailer: { "x-key": ["a", "b"], "x-key-bin": new Uint8Array([1, 255]) },
  };
  expect(injectedStatus(rule, { "content-type": "application/grpc+proto" })).toEqual({
    ":status": 200,
    "content-type": "application/grpc+proto",
    "grpc-status": "8",
    "grpc-message": "100 %25 gr%C3%B6%C3%9Fer%0A",
    "grpc-retry-pushback-ms": "-1",
    "x-key": ["a", "b"],
    "x-key-bin": ["Af8="],
  });
});

test("without more said, it says that it is injected", () => {
  expect(injectedStatus({ on: "call", fault: "status", code: "OK" }, {})).toEqual({
    ":status": 200,
    "content-type": "application/grpc",
    "grpc-status": "0",
    "grpc-message": "injected",
  });
});
