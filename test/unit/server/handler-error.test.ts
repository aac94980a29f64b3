import { ClientError, Status as NiceStatus, ServerError } from "nice-grpc-common";
import { describe, expect, test } from "vitest";
import { fail, RpcError } from "../../../src/core/errors.ts";
import { Status } from "../../../src/core/status.ts";
import { isUnexpected, toAnswer } from "../../../src/server/handler-error.ts";

const downstream = { path: "/other.Service/Get", details: "secret of another service" };

/** What `fail` throws. */
function refusal(...args: Parameters<typeof fail>): unknown {
  try {
    return fail(...args);
  } catch (error) {
    return error;
  }
}

function revoked(target: object): object {
  const { proxy, revoke } = Proxy.revocable(target, {});
  revoke();
  return proxy;
}

/** Says that it is an error of ours, and nothing further. */
function readableOnce(): object {
  const { proxy, revoke } = Proxy.revocable(new RpcError({ ...downstream, reason: "REFUSED" }), {
    get: (target, key) => {
      revoke();
      return Reflect.get(target, key);
    },
  });
  return proxy;
}

describe("a refusal is told word for word", () => {
  test("fail's, with its trailers", () => {
    const error = refusal("NOT_FOUND", "no such order", { trailer: { a: "b" }, pushbackMs: 5 });
    expect(toAnswer(error, "/p")).toBe(error);
  });

  test("nice-grpc's ServerError", () => {
    const answer = toAnswer(new ServerError(NiceStatus.PERMISSION_DENIED, "not yours"), "/p");
    expect(answer).toMatchObject({ code: Status.PERMISSION_DENIED, details: "not yours", reason: "REFUSED" });
  });

  test("our own drain", () => {
    const error = new RpcError({ path: "/p", reason: "DRAINING", origin: "local", details: "the server is draining" });
    expect(toAnswer(error, "/p")).toBe(error);
  });
});

describe("a failed call of the handler's own is INTERNAL, not to be retried, without its text", () => {
  test.each([
    ["a status", new RpcError({ ...downstream, reason: "STATUS", code: Status.UNAVAILABLE })],
    ["a status that nobody retries", new RpcError({ ...downstream, reason: "STATUS", code: Status.NOT_FOUND })],
    ["no connection", new RpcError({ ...downstream, reason: "TRANSPORT" })],
    ["another server's drain", new RpcError({ ...downstream, reason: "DRAINING" })],
    ["nice-grpc's ClientError", new ClientError("/other", NiceStatus.UNAVAILABLE, "secret of another service")],
  ])("%s", (_, error) => {
    const answer = toAnswer(error, "/p");
    expect(answer).toMatchObject({
      code: Status.INTERNAL,
      path: "/p",
      details: "internal error",
      sendTrailer: { "grpc-retry-pushback-ms": "-1" },
    });
    expect(answer.cause).toBe(error);
    expect(isUnexpected(answer)).toBe(true);
  });
});

describe("a passed deadline and a cancellation keep their code, without their text", () => {
  test.each([
    ["a deadline", new RpcError({ ...downstream, reason: "DEADLINE_EXCEEDED" }), Status.DEADLINE_EXCEEDED],
    ["one before the call was sent", new RpcError({ ...downstream, reason: "DEADLINE_BEFORE_SEND" }), 4],
    ["the other server's", new RpcError({ ...downstream, reason: "STATUS", code: 4 }), Status.DEADLINE_EXCEEDED],
    ["nice-grpc's ClientError", new ClientError("/other", NiceStatus.CANCELLED, "secret"), Status.CANCELLED],
  ])("%s", (_, error, code) => {
    const answer = toAnswer(error, "/p");
    const details = expect.stringMatching(/^a call made while serving this one (was cancelled|ran into its deadline)$/);
    expect(answer).toMatchObject({ code, path: "/p", details, sendTrailer: undefined });
    expect(answer.message).not.toContain("secret");
    expect(isUnexpected(answer)).toBe(false);
  });
});

describe("of anything else only INTERNAL is told", () => {
  test.each([
    ["an Error", new Error("secret")],
    ["an abort that is not the call's, such as a fetch that gave up", new DOMException("secret", "AbortError")],
    ["a string", "secret"],
    ["undefined", undefined],
    ["a timeout of the platform's", new DOMException("secret", "TimeoutError")],
  ])("%s", (_, error) => {
    const answer = toAnswer(error, "/p");
    expect(answer).toMatchObject({ code: Status.INTERNAL, details: "internal error", sendTrailer: undefined });
    expect(answer.cause).toBe(error);
    expect(`${answer.message} ${JSON.stringify(answer)}`).not.toContain("secret");
    expect(isUnexpected(answer)).toBe(true);
  });

  test.each([
    ["a revoked Proxy", revoked({})],
    ["a revoked Proxy of an error of ours", revoked(new RpcError({ ...downstream, reason: "STATUS" }))],
    ["a Proxy that ceases to be readable while it is looked at", readableOnce()],
  ])("%s, which throws at whoever looks", (_, error) => {
    const answer = toAnswer(error, "/p");
    expect(answer).toMatchObject({ code: Status.INTERNAL, details: "internal error", sendTrailer: undefined });
    expect(answer.cause === error).toBe(true);
    expect(isUnexpected(answer)).toBe(true);
  });

  test("a refusal with INTERNAL is not unexpected", () => {
    expect(isUnexpected(toAnswer(refusal("INTERNAL", "sorry"), "/p"))).toBe(false);
  });
});
