import { Status } from "bowline";
import { type Authenticator, CredentialError, type ServerOptions } from "bowline/server";
import { expect, test } from "vitest";
import { gate } from "../support/orders.ts";
import { rawCaller } from "../support/raw-answer.ts";
import { serveSecured } from "../support/secured-orders.ts";

const NO_LAG = { loopDelayMs: Number.POSITIVE_INFINITY };

/** Calls that often at once. The authenticator refuses them once each was refused otherwise, or has come to it. */
async function flood(path: string, calls: number, options: ServerOptions) {
  const letGo = gate();
  const counts = { asked: 0, now: 0, most: 0 };
  const codes: number[] = [];
  const note = () => {
    if (codes.length + counts.asked === calls) letGo.resolve();
  };
  const authenticate: Authenticator = async () => {
    counts.asked += 1;
    counts.now += 1;
    counts.most = Math.max(counts.most, counts.now);
    note();
    await letGo.promise;
    counts.now -= 1;
    throw new CredentialError("forged");
  };
  const { port } = await serveSecured({}, { idempotency: false, authenticate, ...options });
  const call = rawCaller(port);
  const answers = Array.from({ length: calls }, async () => {
    codes.push((await call(path, {})).code);
    note();
  });
  return { answers: Promise.all(answers), codes, counts, letGo, call };
}

const RESTRICTED = [
  "/shop.orders.v1.OrderService/GetOrder",
  "/made.up.Service/Method",
  "/grpc.health.v1.Health/List",
  "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
];

test.each(RESTRICTED)("no more callers of %s are authenticated at a time than may call", async (path) => {
  const { answers, codes, counts } = await flood(path, 20, { shed: { ...NO_LAG, maxConcurrent: 2 } });
  await answers;
  expect(counts).toMatchObject({ asked: 2, most: 2 });
  expect(codes.filter((code) => code === Status.RESOURCE_EXHAUSTED).length).toBe(18);
  expect(codes.filter((code) => code === Status.UNAUTHENTICATED).length).toBe(2);
});

test("health is never shed, whatever is", async () => {
  const { answers, counts, letGo, call } = await flood(RESTRICTED[1] ?? "", 3, {
    shed: { ...NO_LAG, maxConcurrent: 2, maxQueued: 1 },
  });
  await expect.poll(() => counts.now).toBe(2);
  expect(await call("/grpc.health.v1.Health/Check", {})).toMatchObject({ code: Status.OK });
  letGo.resolve();
  await answers;
});

test.each(RESTRICTED.slice(1))(
  "where only contracts say when to shed, callers of %s wait for each other",
  async (path) => {
    const { answers, codes, counts, letGo } = await flood(path, 100, {});
    await expect.poll(() => counts.now).toBe(32);
    letGo.resolve();
    await answers;
    expect(counts).toMatchObject({ asked: 100, most: 32 });
    expect(new Set(codes)).toEqual(new Set([Status.UNAUTHENTICATED]));
  },
);

test("none waits where nothing is to be refused", async () => {
  const { answers, counts } = await flood(RESTRICTED[1] ?? "", 50, { shed: false });
  await answers;
  expect(counts).toMatchObject({ asked: 50, most: 50 });
});

test("what callers make up is told to no observer", async () => {
  const told: string[] = [];
  const observer: ServerOptions["observer"] = (event) => {
    if (event.type === "policy" && event.policy === "shed") told.push(event.method ?? "");
  };
  const shed = { ...NO_LAG, maxConcurrent: 1 };
  await (await flood(RESTRICTED[1] ?? "", 3, { shed, observer })).answers;
  expect(told).toEqual([]);
  await (await flood(RESTRICTED[2] ?? "", 3, { shed, observer })).answers;
  expect(told).toEqual([RESTRICTED[2], RESTRICTED[2]]);
});
