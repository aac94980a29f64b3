import { randomBytes } from "node:crypto";
import { Status } from "bowline";
import { jwt } from "bowline/auth-jwt";
import { expect, test } from "vitest";
import { collectGarbage } from "../support/collect-garbage.ts";
import { rawCaller } from "../support/raw-answer.ts";
import { AUDIENCE, anIssuer, bearerOf, connectSecured, ISSUER, serveSecured } from "../support/secured-orders.ts";

const CALLS = 10_000;
const AT_ONCE = 100;

test(`${CALLS} calls with forged tokens, to methods that there are and that there are not, leave nothing behind`, async () => {
  const issuer = await anIssuer();
  const authenticate = jwt({ issuer: ISSUER, audience: AUDIENCE, jwks: issuer.jwks });
  const { port } = await serveSecured({ getOrder: async () => ({}) }, { authenticate, idempotency: false });
  const call = rawCaller(port);
  const [header, payload] = (await issuer.token()).split(".");
  const round = async (calls: number) => {
    for (let made = 0; made < calls; made += AT_ONCE) {
      const answers = Array.from({ length: AT_ONCE }, (_, index) => {
        const forged = `${header}.${payload}.${randomBytes(64).toString("base64url")}`;
        const path = index % 2 ? "/shop.orders.v1.OrderService/GetOrder" : `/a.${made}/${index}`;
        return call(path, { authorization: `Bearer ${forged}` });
      });
      for (const { code } of await Promise.all(answers)) expect(code).toBe(Status.UNAUTHENTICATED);
    }
  };
  await round(2_000);
  await collectGarbage();
  const before = process.memoryUsage().heapUsed;
  await round(CALLS);
  await collectGarbage();
  const grown = process.memoryUsage().heapUsed - before;
  expect(grown).toBeLessThan(4 * 1024 * 1024);
  expect(await connectSecured(port).getOrder({}, bearerOf(await issuer.token()))).toBeDefined();
});
