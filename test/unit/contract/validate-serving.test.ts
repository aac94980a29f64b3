import { describe, expect, test } from "vitest";
import { type MethodPolicy, mergePolicy } from "../../../src/contract/policy.ts";
import type { AuthPolicy } from "../../../src/contract/server-policy.ts";
import { checkMethodPolicy, checkServicePolicy } from "../../../src/contract/validate.ts";

/** Problems as a table shows them: `path: message`. */
const listed = (problems: ReturnType<typeof checkMethodPolicy>) =>
  problems.map(({ path, message }) => `${path.join(".")}: ${message}`);

const unreadable = (at: number, scope: string) =>
  `auth.scopes.${at}: has printable ASCII alone, without space, quote and backslash (RFC 6749); it is ${scope}`;

describe("who may call", () => {
  test.each<[AuthPolicy, string[]]>([
    [{}, []],
    [{ public: false }, []],
    [{ public: true }, []],
    [{ public: false, scopes: ["orders.read"] }, []],
    [{ scopes: ["https://api.example/orders:read", "a&b"] }, []],
    [
      { public: true, scopes: ["orders.read"] },
      ["auth.public: public and scopes exclude each other: a caller without authentication has no scopes"],
    ],
    [{ scopes: ["orders.read", ""] }, ["auth.scopes.1: must not be empty"]],
    [{ scopes: ["orders read"] }, [unreadable(0, '"orders read"')]],
    [{ scopes: ["a", '"', "\\", "ä"] }, [unreadable(1, '"\\""'), unreadable(2, '"\\\\"'), unreadable(3, '"ä"')]],
  ])("%j", (auth, problems) => {
    expect(listed(checkServicePolicy({ auth }))).toEqual(problems);
    expect(listed(checkMethodPolicy({ auth }, { kind: "bidi", idempotency: "UNKNOWN" }))).toEqual(problems);
  });

  test.each<[AuthPolicy | undefined, AuthPolicy | undefined, MethodPolicy]>([
    [undefined, undefined, {}],
    [{ scopes: ["a"] }, undefined, { auth: { scopes: ["a"] } }],
    [{ scopes: ["a"] }, {}, { auth: {} }],
    [{ scopes: ["a"] }, { public: true }, { auth: { public: true } }],
    [{ public: true }, { scopes: ["b"] }, { auth: { scopes: ["b"] } }],
    [undefined, { scopes: ["b"] }, { auth: { scopes: ["b"] } }],
  ])("service %j, method %j", (service, method, merged) => {
    expect(mergePolicy(service ? { auth: service } : {}, method ? { auth: method } : {}, false)).toEqual(merged);
  });
});
