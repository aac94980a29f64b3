import { once } from "node:events";
import { Status } from "bowline";
import { expect, onTestFinished, test } from "vitest";
import { fakeClock } from "../../src/testing/index.ts";
import { defaultServerLimits, ServerTransport } from "../../src/transport/index.ts";
import { call, framed, open, STREAM, session, UNARY, UPLOAD } from "../support/attacking.ts";
import { serveOrders } from "../support/orders.ts";
import { aMethod } from "../support/scripted.ts";

const DAY_MS = 86_400_000;

const empty = framed(new Uint8Array());

/** A message of `aMethod`. */
const json = framed(Buffer.from("{}"));

/** A server that keeps how long each call had left. */
async function serveRemaining() {
  const remaining: number[] = [];
  const { port } = await serveOrders({
    async getOrder(_request, context) {
      remaining.push(context.remainingMs());
      return {};
    },
    async importOrders(_requests, context) {
      remaining.push(context.remainingMs());
      return {};
    },
  });
  return { remaining, connection: session(port) };
}

test.each([
  ["24 days and 20 hours", "2145600S", 2_145_600_000],
  ["the longest that a timer of Node's waits", "2147483S", 2_147_483_000],
  ["a second more", "2147484S", 2_147_484_000],
  ["30 days", "2592000S", 30 * DAY_MS],
  ["the longest that can be said", "99999999H", 99_999_999 * 3_600_000],
])("a timeout of %s holds", async (_, header, timeoutMs) => {
  const { remaining, connection } = await serveRemaining();
  const seen = await call(connection, UNARY, empty, { "grpc-timeout": header });
  expect(seen).toEqual({ http: 200, grpc: Status.OK, reset: 0 });
  expect(remaining).toHaveLength(1);
  expect(remaining[0]).toBeLessThanOrEqual(timeoutMs);
  expect(remaining[0]).toBeGreaterThan(timeoutMs - 60_000);
});

test.each(["1H", "90M", "60S", "59999m", "99999999u", "99999999m"])("a timeout of %s is one", async (header) => {
  const { remaining, connection } = await serveRemaining();
  expect(await call(connection, UNARY, empty, { "grpc-timeout": header })).toMatchObject({ grpc: Status.OK });
  expect(remaining[0]).toBeGreaterThan(30_000);
});

test.each(["0S", "1n", "99u"])("a timeout of %s has passed", async (header) => {
  const { remaining, connection } = await serveRemaining();
  const seen = await call(connection, UNARY, empty, { "grpc-timeout": header });
  expect(seen).toMatchObject({ grpc: Status.DEADLINE_EXCEEDED });
  expect(remaining).toEqual([]);
});

test.each([
  "soon",
  "-1S",
  "+1S",
  "5",
  "S",
  "5s",
  "5 S",
  "1.5S",
  "x5Sgarbage",
  "5S garbage",
  "100000000m",
  "99999999999999999999S",
  "1S, 2S",
  "x".repeat(50),
])("a timeout of %s is none, and no handler sees the call", async (header) => {
  const { remaining, connection } = await serveRemaining();
  const refused = { http: 200, grpc: Status.INTERNAL, reset: 0 };
  const sent = { "grpc-timeout": header };
  for (const path of [UNARY, UPLOAD, STREAM, "/no.Such/Method"]) {
    expect(await call(connection, path, empty, sent)).toEqual(refused);
  }
  // Told before anything of the request came, and the connection goes on.
  const [early] = await once(open(connection, UNARY, sent), "response");
  expect(early["grpc-status"]).toBe(String(Status.INTERNAL));
  expect(decodeURI(early["grpc-message"])).toMatch(/^malformed grpc-timeout/);
  expect(await call(connection, UNARY, empty)).toMatchObject({ grpc: Status.OK });
  expect(remaining).toHaveLength(1);
});

test("a timeout longer than a timer of Node's ends the call when it has passed", async () => {
  const clock = fakeClock({ wallTime: Date.now() });
  const transport = new ServerTransport(defaultServerLimits, undefined, () => {}, clock);
  const arrived = Promise.withResolvers<number>();
  const cancelled = Promise.withResolvers<void>();
  transport.addUnary(aMethod("unary", { path: UNARY }), (incoming) => {
    incoming.onCancelled(cancelled.resolve);
    arrived.resolve(incoming.wallDeadline);
  });
  const port = await transport.listen("127.0.0.1:0", undefined);
  onTestFinished(() => transport.shutdown(1));
  const ended = call(session(port), UNARY, json, { "grpc-timeout": "2592000S" });
  expect(await arrived.promise).toBe(clock.wallTime() + 30 * DAY_MS);
  await clock.advance(30 * DAY_MS - 1);
  expect(clock.pending).toBe(1);
  await clock.advance(1);
  expect(await ended).toEqual({ http: 200, grpc: Status.DEADLINE_EXCEEDED, reset: 0 });
  await cancelled.promise;
});

test("a call that ends before such a timeout leaves no timer behind", async () => {
  const clock = fakeClock();
  const transport = new ServerTransport(defaultServerLimits, undefined, () => {}, clock);
  transport.addUnary(aMethod("unary", { path: UNARY }), (_incoming, _request, respond) =>
    respond({ response: new Uint8Array(), trailer: undefined }),
  );
  const port = await transport.listen("127.0.0.1:0", undefined);
  onTestFinished(() => transport.shutdown(1));
  const connection = session(port);
  for (let times = 0; times < 3; times += 1) {
    const seen = await call(connection, UNARY, json, { "grpc-timeout": "2592000S" });
    expect(seen.grpc).toBe(Status.OK);
  }
  // An honest one afterwards: whatever the others left for their ends has run.
  await call(connection, UNARY, json);
  expect(clock.pending).toBe(0);
});

test.each(["application/grpc", "application/grpc+proto", "application/grpc;charset=utf-8"])(
  "the content type %s is gRPC's",
  async (type) => {
    const { connection } = await serveRemaining();
    expect(await call(connection, UNARY, empty, { "content-type": type })).toMatchObject({ grpc: Status.OK });
  },
);

test.each(["application/grpc-web", "application/grpc-web+proto", "application/grpc-web-text", "application/grpcx"])(
  "the content type %s is not",
  async (type) => {
    const { connection, remaining } = await serveRemaining();
    const seen = await call(connection, UNARY, empty, { "content-type": type });
    expect(seen).toEqual({ http: 415, grpc: undefined, reset: 0 });
    expect(remaining).toEqual([]);
  },
);
