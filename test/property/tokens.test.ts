import fc from "fast-check";
import { Metadata } from "nice-grpc-common";
import { expect, test } from "vitest";
import { jwt } from "../../src/auth-jwt/index.ts";
import { CredentialError } from "../../src/core/credential-error.ts";
import { tokenKey } from "../../src/core/identity.ts";
import { aMethod } from "../support/scripted.ts";
import { AUDIENCE, anIssuer, ISSUER } from "../support/secured-orders.ts";

const issuer = await anIssuer("EdDSA");
const authenticate = jwt({ issuer: ISSUER, audience: AUDIENCE, jwks: issuer.jwks });
const token = await issuer.token();
const bytes = (part: string | undefined) => Buffer.from(part ?? "", "base64url").toString("hex");

/** What becomes of a value of `authorization`: the caller's key, or nobody; anything but a refusal is a mistake. */
async function outcome(authorization: string): Promise<string | undefined> {
  const metadata = new Metadata({ authorization });
  const signal = new AbortController().signal;
  try {
    const call = { metadata, peer: "10.0.0.7:1", certificate: undefined, method: aMethod(), signal };
    return (await authenticate(call))?.identity.key;
  } catch (error) {
    expect(error).toBeInstanceOf(CredentialError);
    return undefined;
  }
}

test("no change of a token is taken that changes what was signed, or its signature", async () => {
  const change = fc.record({
    at: fc.nat(token.length - 1),
    length: fc.nat(3),
    text: fc.stringMatching(/^[A-Za-z0-9._~+/=-]{0,4}$/),
  });
  await fc.assert(
    fc.asyncProperty(change, async ({ at, length, text }) => {
      const changed = token.slice(0, at) + text + token.slice(at + length);
      const same =
        changed.split(".").length === 3 &&
        changed.split(".").every((part, index) =>
          // The last character of a signature has bits that stand for nothing.
          index < 2 ? part === token.split(".")[index] : bytes(part) === bytes(token.split(".")[index]),
        );
      const found = await outcome(`Bearer ${changed}`);
      expect(found === undefined || same).toBe(true);
    }),
    { numRuns: 300 },
  );
});

test("whatever is sent is refused or none of its kind, and nothing else", async () => {
  const word = fc.oneof(
    fc.string({ unit: "binary-ascii" }).map((text) => text.replace(/[^ -~]/g, "")),
    fc.constantFrom("Bearer ", "bearer", "Basic ", token, ".", ",", "=", "eyJhbGciOiJub25lIn0."),
  );
  await fc.assert(
    fc.asyncProperty(fc.array(word, { maxLength: 6 }), async (words) => {
      const sent = words.join("");
      const found = await outcome(sent);
      expect(found === undefined || /^bearer +\S+$/i.test(sent.trim())).toBe(true);
      expect(found === undefined || sent.includes(token)).toBe(true);
    }),
    { numRuns: 300 },
  );
});

test("two callers have one key only if issuer and subject are the same", () => {
  const part = fc.stringMatching(/^[|%7C25a]{0,6}$/);
  fc.assert(
    fc.property(part, part, part, part, (issuerA, subjectA, issuerB, subjectB) => {
      const equal = issuerA === issuerB && subjectA === subjectB;
      expect(tokenKey(issuerA, subjectA) === tokenKey(issuerB, subjectB)).toBe(equal);
    }),
    { numRuns: 1_000 },
  );
});
