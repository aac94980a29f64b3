import { expect, test } from "vitest";
import { storedIdentity } from "../../../src/server/idempotency/served-key.ts";

const [half, otherHalf] = ["token:a|\ud800", "token:a|\udfff"];
const long = `token:a|${"ä".repeat(504)}`;

test.each(["peer:10.0.0.7", "token:https://id.example|u-1", "token:a|Zoë 🚢", long])(
  "%s is given as it is",
  (identity) => {
    expect(storedIdentity(identity)).toBe(identity);
  },
);

test.each<[string, string]>([
  ["half a surrogate pair", half],
  ["a character of code 0", "token:a|\0"],
  ["what is longer than 512 characters", `${long}x`],
  ["what looks hashed", storedIdentity(half)],
])("%s is hashed, the same each time", (_, identity) => {
  expect(storedIdentity(identity)).toMatch(/^sha256:[\w-]{43}$/);
  expect(storedIdentity(identity)).toBe(storedIdentity(identity));
});

test("callers of whom a database would make one stay apart", () => {
  const identities = [half, otherHalf, "token:a|\ufffd", "token:a|", "token:a|\0", `${long}x`, `${long}y`];
  const all = [...identities, ...identities.map(storedIdentity)];
  expect(new Set(all.map(storedIdentity)).size).toBe(new Set(all).size);
});
