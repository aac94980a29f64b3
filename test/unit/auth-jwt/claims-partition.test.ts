import { expect, test } from "vitest";
import { claimsPartition } from "../../../src/auth-jwt/claims-partition.ts";

const claims = { iss: "https://id.test", sub: "u-1", org: "A", roles: ["a", "b"], iat: 1, nbf: 1, exp: 2, jti: "1" };

test.each<[string, object]>([
  ["a refreshed token", { ...claims, iat: 3, nbf: 3, exp: 4, jti: "2" }],
  ["one without what may be left out", { ...claims, iat: undefined, nbf: undefined, jti: undefined }],
  ["the same in another order", Object.fromEntries(Object.entries(claims).toReversed())],
])("shares answers: %s", (_, other) => {
  expect(claimsPartition({ ...other })).toBe(claimsPartition(claims));
});

test.each<[string, object]>([
  ["another issuer's", { iss: "https://other.test" }],
  ["another subject's", { sub: "u-2" }],
  ["another organisation's", { org: "B" }],
  ["one that allows less", { roles: ["a"] }],
  ["one that says more", { act: { sub: "support" } }],
  ["one that says what is a part of a claim beside it", { org: undefined, "org,A": "" }],
])("shares none: %s", (_, change) => {
  expect(claimsPartition({ ...claims, ...change })).not.toBe(claimsPartition(claims));
});
