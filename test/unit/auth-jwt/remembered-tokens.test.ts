import { Metadata } from "nice-grpc-common";
import { expect, test, vi } from "vitest";
import { type JwtOptions, jwt } from "../../../src/auth-jwt/index.ts";
import { VerifiedTokens } from "../../../src/auth-jwt/verified-tokens.ts";
import { fakeClock } from "../../../src/testing/index.ts";
import { aMethod } from "../../support/scripted.ts";
import { AUDIENCE, anIssuer, ISSUER } from "../../support/secured-orders.ts";

const issuer = await anIssuer();
const withKeys = (more: Partial<JwtOptions> = {}): JwtOptions => ({
  issuer: ISSUER,
  audience: AUDIENCE,
  jwks: issuer.jwks,
  ...more,
});

/** A call with a token. */
function aCallWith(token: string) {
  const metadata = new Metadata({ authorization: `Bearer ${token}` });
  const signal = new AbortController().signal;
  return { metadata, peer: "10.0.0.7:1", certificate: undefined, method: aMethod(), signal };
}

test.each([
  ["its end", {}, 60, 65],
  ["its greatest age", { maxAgeMs: 10_000 }, 10, 15],
  ["its end, if that comes before its greatest age", { maxAgeMs: 100_000 }, 60, 65],
])("a token that is remembered is taken, and a stream with it open, until %s", async (_, more, remembered, last) => {
  const issued = 1_800_000_000;
  const clock = fakeClock({ wallTime: issued * 1_000 });
  let asked = 0;
  const jwks = () => {
    asked += 1;
    return issuer.jwks;
  };
  const one = jwt(withKeys({ clock, jwks, keysMaxAgeMs: 1, keysStaleMs: 0, rememberForMs: 1_000_000, ...more }));
  const token = await issuer.token({ iat: issued, exp: issued + 60 });
  const taken = async () => one(aCallWith(token));
  expect(await taken()).toMatchObject({ expiresAt: (issued + last) * 1_000 });
  await clock.advance(remembered * 1_000 - 1);
  expect([await taken(), asked]).toMatchObject([{ token }, 1]);
  await clock.advance(1);
  expect([await taken(), asked]).toMatchObject([{ expiresAt: (issued + last) * 1_000 }, 2]);
  await clock.advance((last - remembered + 1) * 1_000);
  await expect(taken()).rejects.toThrow("expired");
});

test("what is remembered of a token has none, and each call has its own", async () => {
  const remembered: unknown[] = [];
  vi.spyOn(VerifiedTokens.prototype, "set").mockImplementationOnce(function (this: VerifiedTokens<unknown>, ...given) {
    remembered.push(given[1]);
    return this.set(...given);
  });
  const one = jwt(withKeys());
  const token = await issuer.token();
  const found = [await one(aCallWith(token)), await one(aCallWith(token))];
  expect(found).toMatchObject([{ token }, { token }]);
  expect(remembered).toHaveLength(1);
  expect(JSON.stringify(remembered)).toContain("u-1");
  expect(JSON.stringify(remembered)).not.toContain(token);
});
