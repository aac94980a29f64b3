import { Metadata } from "nice-grpc-common";
import { describe, expect, test } from "vitest";
import { DRAIN_TRAILER, PUSHBACK, REFUSED_TRAILER, RpcError } from "../../../src/core/errors.ts";
import { Status } from "../../../src/core/status.ts";
import { type FailedStatus, statusError } from "../../../src/core/status-error.ts";
import type { BreakerPermit } from "../../../src/policy/breaker-permit.ts";
import { settle } from "../../../src/policy/breaker-verdict.ts";
import { settleLimit } from "../../../src/policy/limit-verdict.ts";

const failed: FailedStatus = {
  path: "/p",
  code: Status.UNAVAILABLE,
  details: "details",
  headersReceived: false,
  trailer: new Metadata(),
  cause: undefined,
  expired: false,
};
const trailer = new Metadata({ "content-type": "application/grpc" });

describe("where a status came from", () => {
  test.each([
    ["neither headers nor trailers: this side made it", {}, "local", "TRANSPORT"],
    ["headers came", { headersReceived: true }, "wire", "STATUS"],
    ["trailers came with it", { trailer }, "wire", "STATUS"],
    ["both came", { headersReceived: true, trailer }, "wire", "STATUS"],
  ] as const)("%s", (_, known, origin, reason) => {
    const error = statusError({ ...failed, ...known });
    expect(error).toMatchObject({ origin, reason, code: Status.UNAVAILABLE, details: "details", path: "/p" });
  });

  test("keeps headersReceived and the trailers", () => {
    expect(statusError({ ...failed, headersReceived: true, trailer })).toMatchObject({
      headersReceived: true,
      trailer,
    });
  });

  test("a code that gRPC does not define is UNKNOWN", () => {
    expect(statusError({ ...failed, code: 99, trailer }).code).toBe(Status.UNKNOWN);
  });
});

describe("after headers, what the transport says of itself is its own", () => {
  test.each([
    ["broken", Status.UNAVAILABLE, "TRANSPORT"],
    ["broken", Status.CANCELLED, "CANCELLED"],
    ["not-encodable", Status.INTERNAL, "REQUEST_NOT_ENCODABLE"],
    ["too-much", Status.RESOURCE_EXHAUSTED, "TRANSPORT"],
    ["too-large", Status.RESOURCE_EXHAUSTED, "MESSAGE_TOO_LARGE"],
    ["deadline", Status.DEADLINE_EXCEEDED, "DEADLINE_EXCEEDED"],
  ] as const)("%s with code %i is %s", (cause, code, reason) => {
    const error = statusError({ ...failed, code, headersReceived: true, cause });
    expect(error).toMatchObject({ reason, code, origin: "local" });
  });

  test("that a call was too much is told in terms of calls, and what the transport said is kept", () => {
    const said = {
      ...failed,
      code: Status.RESOURCE_EXHAUSTED,
      details: "Bandwidth exhausted",
      cause: "too-much",
    } as const;
    const error = statusError(said);
    expect(error.details).toBe(
      "the server reset the call (HTTP/2 ENHANCE_YOUR_CALM): its metadata is more than the server takes, or there are more calls than it takes",
    );
    expect(error.cause).toEqual(new Error("Bandwidth exhausted"));
    const byServer = statusError({ ...said, trailer });
    expect(byServer).toMatchObject({ reason: "STATUS", origin: "wire", details: "Bandwidth exhausted" });
    expect(byServer).not.toHaveProperty("cause");
  });

  test("unless trailers came: then the server said it, whatever its words", () => {
    const error = statusError({ ...failed, headersReceived: true, trailer, cause: "too-large" });
    expect(error).toMatchObject({ reason: "STATUS", origin: "wire" });
  });
});

describe("a drain trailer", () => {
  const drain = new Metadata({ [DRAIN_TRAILER]: "1" });

  test("is a reason of its own, with the server's code", () => {
    const error = statusError({ ...failed, trailer: drain });
    expect(error).toMatchObject({ reason: "DRAINING", code: Status.UNAVAILABLE, origin: "wire" });
  });
});

describe("what a server refused because of a limit", () => {
  const code = Status.RESOURCE_EXHAUSTED;

  test.each<[string, number, string]>([
    ["RATE_LIMITED", code, "RATE_LIMITED"],
    ["SHED", code, "SHED"],
    ["BREAKER_OPEN", code, "STATUS"],
    ["SHED", Status.UNAVAILABLE, "STATUS"],
  ])("said to be %s with code %d: %s", (refused, code, reason) => {
    const error = statusError({ ...failed, code, trailer: new Metadata({ [REFUSED_TRAILER]: refused }) });
    expect(error).toMatchObject({ reason, code, origin: "wire" });
  });

  test.each(["RATE_LIMITED", "SHED"] as const)("%s says nothing about a target to its breaker", (reason) => {
    const said: string[] = [];
    const note = (outcome: string) => () => void said.push(outcome);
    const permit = {
      granted: true,
      trial: false,
      success: note("success"),
      failure: note("failure"),
      ignore: note("ignored"),
    };
    const error = new RpcError({ path: "", reason, details: "" });
    settle(permit as unknown as BreakerPermit, error, new Set([code]));
    expect(said).toEqual(["ignored"]);
  });

  test.each([
    ["RATE_LIMITED", "ignored"],
    ["SHED", "dropped"],
    ["STATUS", "dropped"],
  ] as const)("%s is %s to a limit that follows the latency", (reason, outcome) => {
    const said: string[] = [];
    const note = (outcome: string) => () => void said.push(outcome);
    const permit = {
      success: note("success"),
      dropped: note("dropped"),
      timedOut: note("late"),
      ignore: note("ignored"),
    };
    settleLimit(permit, new RpcError({ path: "", reason, code, details: "" }), 0);
    expect(said).toEqual([outcome]);
  });
});

describe("a deadline", () => {
  test.each([
    ["CANCELLED made here, before it", Status.CANCELLED, false, {}, "CANCELLED", Status.CANCELLED],
    ["CANCELLED made here, after it (D2)", Status.CANCELLED, true, {}, "DEADLINE_EXCEEDED", Status.DEADLINE_EXCEEDED],
    ["CANCELLED off the wire, before it", Status.CANCELLED, false, { trailer }, "STATUS", Status.CANCELLED],
    [
      "CANCELLED off the wire, after it (D2)",
      Status.CANCELLED,
      true,
      { trailer },
      "DEADLINE_EXCEEDED",
      Status.DEADLINE_EXCEEDED,
    ],
    [
      "passed here, by a hair early",
      Status.DEADLINE_EXCEEDED,
      false,
      {},
      "DEADLINE_EXCEEDED",
      Status.DEADLINE_EXCEEDED,
    ],
    ["the server's own, before ours", Status.DEADLINE_EXCEEDED, false, { trailer }, "STATUS", Status.DEADLINE_EXCEEDED],
    ["the server's, after ours", Status.DEADLINE_EXCEEDED, true, { trailer }, "DEADLINE_EXCEEDED", 4],
    ["another status after it keeps its code", Status.NOT_FOUND, true, { trailer }, "STATUS", Status.NOT_FOUND],
  ] as const)("%s", (_, code, expired, known, reason, expected) => {
    const error = statusError({ ...failed, ...known, code, expired });
    expect(error).toMatchObject({ reason, code: expected });
  });

  test("is told of where nobody gave details", () => {
    const status = { ...failed, code: Status.CANCELLED, details: "", expired: true };
    expect(statusError(status).message).toBe("/p DEADLINE_EXCEEDED: deadline exceeded");
  });
});

describe("whether the server may have seen the call", () => {
  const unsent = {
    ...failed,
    code: Status.UNAVAILABLE,
    cause: "unsent",
    details: "No connection established",
  } as const;

  test.each([
    ["a transport's own word that nothing took it", { headersReceived: false }, false],
    ["the same words of a handler, after its headers", { headersReceived: true }, true],
    ["the same words of a server, in trailers", { headersReceived: false, trailer: new Metadata({ a: "b" }) }, true],
    ["a connection that broke", { cause: "broken" as const, headersReceived: false }, true],
  ])("%s: %s", (_, known, sent) => {
    expect(statusError({ ...unsent, ...known }).sent).toBe(sent);
  });
});

test.each<[string, string, string[], number | undefined]>([
  ["a rate limit's time", "RATE_LIMITED", ["250"], 250],
  ["a shed call's time", "SHED", ["0"], 0],
  ["a refusal for good", "SHED", ["-1"], undefined],
  ["no time", "RATE_LIMITED", [], undefined],
  ["what is no time", "RATE_LIMITED", ["soon"], undefined],
  ["two times", "RATE_LIMITED", ["1", "2"], undefined],
  ["a time of another refusal", "OTHER", ["250"], undefined],
])("retryAfterMs has %s", (_, refused, pushbacks, expected) => {
  const said = new Metadata({ [REFUSED_TRAILER]: refused, [PUSHBACK]: pushbacks });
  expect(statusError({ ...failed, code: Status.RESOURCE_EXHAUSTED, trailer: said }).retryAfterMs).toBe(expected);
});
