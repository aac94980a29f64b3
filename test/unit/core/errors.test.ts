import { inspect } from "node:util";
import { ClientError, Metadata, Status as NiceStatus, ServerError } from "nice-grpc-common";
import { describe, expect, test } from "vitest";
import { DRAIN_TRAILER, fail, PUSHBACK, RpcError, type RpcErrorInit } from "../../../src/core/errors.ts";
import { reasons } from "../../../src/core/reasons.ts";
import { Status } from "../../../src/core/status.ts";

/** What `work` throws. */
function thrownBy(work: () => unknown): unknown {
  try {
    work();
  } catch (error) {
    return error;
  }
  return expect.unreachable("nothing was thrown");
}

describe("RpcError", () => {
  const error = new RpcError({ path: "/shop.Orders/Get", reason: "TRANSPORT", details: "connection refused" });

  test("is an Error and an instance of nice-grpc's ClientError", () => {
    expect(error).toBeInstanceOf(Error);
    expect(error).toBeInstanceOf(RpcError);
    expect(error).toBeInstanceOf(ClientError);
    expect(error).not.toBeInstanceOf(ServerError);
  });

  test("nice-grpc's ClientError is no RpcError", () => {
    expect(new ClientError("/shop.Orders/Get", NiceStatus.INTERNAL, "")).not.toBeInstanceOf(RpcError);
  });

  test("says where, which status and what happened", () => {
    expect(error.message).toBe("/shop.Orders/Get UNAVAILABLE: connection refused");
    expect(String(error)).toBe("RpcError: /shop.Orders/Get UNAVAILABLE: connection refused");
    expect(error.stack).toContain("errors.test.ts");
  });

  test("leaves out the path where no call is involved", () => {
    expect(new RpcError({ path: "", reason: "REFUSED", details: "no" }).message).toBe("UNKNOWN: no");
  });

  test.each(Object.entries(reasons))("takes code and origin of %s from the table of reasons", (reason, row) => {
    const { code, origin } = new RpcError({ path: "", reason: reason as keyof typeof reasons, details: "" });
    expect({ code, origin }).toEqual({ code: row.code, origin: row.origin });
  });

  test("has defaults for all that need not be said", () => {
    expect({ ...error }).toEqual({
      code: Status.UNAVAILABLE,
      reason: "TRANSPORT",
      origin: "local",
      path: "/shop.Orders/Get",
      details: "connection refused",
      attempts: 1,
      headersReceived: false,
      trailer: undefined,
      sendTrailer: undefined,
    });
    expect(error.cause).toBeUndefined();
  });

  test.each<[Partial<RpcErrorInit>, string]>([
    [{}, ""],
    [{ attempts: 1, retryStop: "NOT_RETRYABLE" }, ""],
    [{ attempts: 2 }, " (after 2 attempts)"],
    [{ attempts: 2, retryStop: "MAX_ATTEMPTS" }, " (after 2 attempts)"],
    [{ attempts: 1, retryStop: "THROTTLED" }, " (no further one: THROTTLED)"],
    [{ attempts: 2, retryStop: "DEADLINE" }, " (after 2 attempts; no further one: DEADLINE)"],
    [{ attempts: 1, retryStop: "REJECTED", reason: "BREAKER_OPEN" }, " (no further one: BREAKER_OPEN)"],
    [{ attempts: 0, retryStop: "REJECTED", reason: "BREAKER_OPEN" }, ""],
  ])("says in its message of %j why there was no further attempt", (said, notes) => {
    const error = new RpcError({ path: "/p", reason: "STATUS", code: Status.UNAVAILABLE, details: "down", ...said });
    expect(error.message).toBe(`/p UNAVAILABLE: down${notes}`);
  });

  test("keeps all that is said", () => {
    const trailer = new Metadata({ a: "b" });
    const said = {
      path: "/p",
      reason: "STATUS",
      details: "d",
      code: Status.ABORTED,
      origin: "local",
      attempts: 3,
      headersReceived: true,
      trailer,
      sendTrailer: { c: "d" },
    } as const;
    const cause = new Error("c");
    const full = new RpcError({ ...said, cause });
    expect({ ...full, trailer: full.trailer, sendTrailer: full.sendTrailer }).toEqual(said);
    expect(full.cause).toBe(cause);
  });

  test("has details that can be sent: half a character becomes the replacement character", () => {
    const cut = "no order 😀".slice(0, -1);
    const error = new RpcError({ path: "", reason: "REFUSED", details: cut });
    expect([error.details, error.message]).toEqual(["no order \ufffd", "UNKNOWN: no order \ufffd"]);
  });

  test("code 0 attempts is kept apart from the default", () => {
    expect(new RpcError({ path: "", reason: "TRANSPORT", details: "", attempts: 0 }).attempts).toBe(0);
  });

  test("may be given another name, as any Error", () => {
    const named = new RpcError({ path: "", reason: "REFUSED", details: "no" });
    named.name = "OrderError";
    expect(String(named)).toBe("OrderError: UNKNOWN: no");
  });
});

describe("RpcError.from", () => {
  test("takes what throws at whoever looks at it for what nobody expected", () => {
    const { proxy, revoke } = Proxy.revocable({}, {});
    revoke();
    const error = RpcError.from(proxy, "/p");
    expect(error).toMatchObject({ reason: "UNEXPECTED", code: Status.INTERNAL, path: "/p" });
    expect(error.cause === proxy).toBe(true);
    expect(proxy instanceof RpcError).toBe(false);
  });

  test("returns an RpcError as it is", () => {
    const error = new RpcError({ path: "", reason: "REFUSED", details: "no" });
    expect(RpcError.from(error, "/other")).toBe(error);
  });

  test("keeps code, path and details of nice-grpc's ClientError", () => {
    const thrown = new ClientError("/shop.Orders/Get", NiceStatus.NOT_FOUND, "no such order");
    const error = RpcError.from(thrown, "/other");
    expect(error).toMatchObject({
      code: Status.NOT_FOUND,
      reason: "STATUS",
      origin: "wire",
      path: "/shop.Orders/Get",
      details: "no such order",
    });
    expect(error.cause).toBe(thrown);
  });

  test("knows nice-grpc's ClientError by its brand, whichever copy made it", () => {
    const foreign = { "@@nice-grpc:ClientError": true, path: "/p", code: 8, details: "full" };
    expect(RpcError.from(foreign)).toMatchObject({ code: Status.RESOURCE_EXHAUSTED, reason: "STATUS", path: "/p" });
  });

  test("a ClientError with a code that gRPC does not define is UNKNOWN", () => {
    expect(RpcError.from(new ClientError("/p", 99 as NiceStatus, "odd")).code).toBe(Status.UNKNOWN);
  });

  test("keeps code and details of nice-grpc's ServerError, as a refusal", () => {
    const thrown = new ServerError(NiceStatus.PERMISSION_DENIED, "not yours");
    const error = RpcError.from(thrown, "/p");
    expect(error).toMatchObject({
      code: Status.PERMISSION_DENIED,
      reason: "REFUSED",
      origin: "local",
      path: "/p",
      details: "not yours",
    });
    expect(error.cause).toBe(thrown);
  });

  test("an abort becomes CANCELLED", () => {
    const thrown = new DOMException("secret", "AbortError");
    const error = RpcError.from(thrown, "/p");
    expect(error).toMatchObject({ code: Status.CANCELLED, reason: "CANCELLED", details: "the call was cancelled" });
    expect(error.cause).toBe(thrown);
    expect(error.message).not.toContain("secret");
  });

  test.each([
    ["an Error", new Error("secret")],
    ["an Error of Node's", Object.assign(new Error("secret"), { code: "ECONNREFUSED", details: "secret" })],
    ["an Error with a gRPC code", Object.assign(new Error("secret"), { code: 5, details: "secret" })],
    ["a timeout of the platform's", new DOMException("secret", "TimeoutError")],
    ["a string", "secret"],
    ["a symbol", Symbol("secret")],
    ["an object", { message: "secret", details: "secret" }],
    ["an object without a prototype", Object.create(null)],
    ["a function", () => "secret"],
    ["null", null],
    ["undefined", undefined],
    ["a number", 14],
  ])("of %s nothing but INTERNAL is told, and it is kept as the cause", (_, thrown) => {
    const error = RpcError.from(thrown, "/p");
    expect(error).toMatchObject({
      code: Status.INTERNAL,
      reason: "UNEXPECTED",
      origin: "local",
      path: "/p",
      details: "unexpected error",
      sendTrailer: undefined,
    });
    expect(error.cause).toBe(thrown);
    expect(`${error.message} ${JSON.stringify(error)}`).not.toContain("secret");
  });

  test("has an empty path if none is given", () => {
    expect(RpcError.from(new Error("secret")).message).toBe("INTERNAL: unexpected error");
  });
});

describe("fail", () => {
  test.each([
    ["NOT_FOUND", Status.NOT_FOUND],
    [5, Status.NOT_FOUND],
    [NiceStatus.ABORTED, Status.ABORTED],
  ] as const)("refuses with %s", (code, expected) => {
    expect(thrownBy(() => fail(code, "no such order"))).toMatchObject({
      code: expected,
      reason: "REFUSED",
      origin: "local",
      details: "no such order",
      sendTrailer: undefined,
    });
  });

  test.each([99, -1, 1.5, Number.NaN])("does not take %d for a status", (code) => {
    expect(() => fail(code, "no")).toThrow(new TypeError(`fail: gRPC has no status ${code}`));
  });

  test.each([["OK"], [0]])("does not take %s", (code) => {
    expect(thrownBy(() => fail(code as never, "fine"))).toEqual(
      new TypeError("fail: OK is no failure; return the answer instead"),
    );
  });

  test.each([
    [5, undefined, "the message must be a text; it is undefined"],
    [5, null, "the message must be a text; it is null"],
    [5, { code: 5 }, "the message must be a text; it is [object Object]"],
    [99, 7, "gRPC has no status 99; the message must be a text; it is 7"],
    [0, new Error("no"), "OK is no failure; return the answer instead; the message must be a text; it is Error: no"],
  ])("does not take %s with %s, and says all that is wrong", (code, message, problems) => {
    const options = { trailer: { host: "a" }, statusDetails: {} } as never;
    const others = "statusDetails must be an array";
    expect(() => fail(code, message as never)).toThrow(new TypeError(`fail: ${problems}`));
    expect(() => fail(code, message as never, options)).toThrow(
      expect.objectContaining({ message: expect.stringMatching(new RegExp(`^fail: .*it is .*host.*; ${others}$`)) }),
    );
  });

  test("keeps the cause, and does not tell it", () => {
    const cause = new Error("secret");
    const error = thrownBy(() => fail("INTERNAL", "sorry", { cause })) as RpcError;
    expect(error.cause).toBe(cause);
    expect(error.message).toBe("INTERNAL: sorry");
  });

  test.each([
    [0, "0"],
    [1, "1"],
    [1_500.9, "1500"],
    [-1, "-1"],
    [-0.5, "-1"],
  ])("sends a pushback of %d ms as %s", (pushbackMs, sent) => {
    expect(thrownBy(() => fail("UNAVAILABLE", "busy", { pushbackMs }))).toMatchObject({
      sendTrailer: { "grpc-retry-pushback-ms": sent },
    });
  });

  test.each([
    ["no key", "v", 'a key has digits, letters, "_", "-" and "." alone'],
    ["", "v", 'a key has digits, letters, "_", "-" and "." alone'],
    ["x-bin", "v", "a key that ends in -bin takes bytes"],
    ["X-BIN", "v", "a key that ends in -bin takes bytes"],
    ["x", new Uint8Array(), "only a key that ends in -bin takes anything but text"],
    ["x", 5, "only a key that ends in -bin takes anything but text"],
    ["x", "ü", "a text has printable ASCII alone; bytes go under a key that ends in -bin"],
    ["x", "a\nb", "a text has printable ASCII alone; bytes go under a key that ends in -bin"],
  ])("does not take the trailer %j with %j", (key, value, problem) => {
    expect(thrownBy(() => fail("NOT_FOUND", "no", { trailer: { good: "1", [key]: value as string } }))).toEqual(
      new TypeError(`fail: the trailer ${JSON.stringify(key)} cannot be sent: ${problem}`),
    );
  });

  test("sends the trailers that it is given, pushback besides", () => {
    const bytes = new Uint8Array([1, 2]);
    const options = { trailer: { "x-quota": "0", "x-bin": bytes }, pushbackMs: 7 };
    expect(thrownBy(() => fail("RESOURCE_EXHAUSTED", "slow down", options))).toMatchObject({
      sendTrailer: { "x-quota": "0", "x-bin": bytes, [PUSHBACK]: "7" },
    });
  });
});

test("the names of trailers are those on the wire", () => {
  expect([PUSHBACK, DRAIN_TRAILER]).toEqual(["grpc-retry-pushback-ms", "bowline-drain"]);
});

describe("an RpcError in a log", () => {
  const trailer = new Metadata({ "x-why": "because" });
  const error = new RpcError({ path: "/p", reason: "STATUS", code: Status.NOT_FOUND, details: "no order", trailer });

  test("is printed without the functions of its metadata", () => {
    expect(inspect(error)).toContain("/p NOT_FOUND: no order");
    expect(inspect(error)).not.toMatch(/\[Function|\[cause\]/);
    expect(error.trailer?.get("x-why")).toBe("because");
  });

  test("is JSON that says what it is", () => {
    expect(JSON.parse(JSON.stringify(error))).toMatchObject({
      name: "RpcError",
      message: "/p NOT_FOUND: no order",
      status: "NOT_FOUND",
      reason: "STATUS",
      path: "/p",
      stack: expect.stringContaining("errors.test.ts"),
    });
  });
});

test("an RpcError of another copy of the package is one", () => {
  const other = Object.assign(new Error("/p NOT_FOUND: no order"), { "@@bowline:RpcError": true });
  expect(other).toBeInstanceOf(RpcError);
  expect(RpcError.from(other)).toBe(other);
  expect(new Error("none")).not.toBeInstanceOf(RpcError);
  expect(Object.create(null)).not.toBeInstanceOf(RpcError);
  expect(RpcError[Symbol.hasInstance](null)).toBe(false);
});
