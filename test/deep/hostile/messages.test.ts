import { gzipSync } from "node:zlib";
import { Status } from "bowline";
import { afterAll, beforeAll, expect, onTestFinished, test } from "vitest";
import { GetOrderRequest } from "../../../gen/shop/orders/v1/orders.ts";
import { call, end, framed, open, type Seen, session, UNARY, UPLOAD } from "../../support/attacking.ts";
import { type Victim, victim } from "./victim.ts";

const MIB = 1024 * 1024;

const honest = framed(GetOrderRequest.encode(GetOrderRequest.create({ orderId: "o-1" })).finish());

/** So often each attack comes. */
const TIMES = 10;

/** Answered with this status, and nothing else. */
const refused = (code: number): Seen => ({ http: 200, grpc: code, reset: 0 });

const bodies: Readonly<Record<string, readonly [path: string, body: Uint8Array, code: number]>> = {
  "a message that says it is larger than it may be": [
    UNARY,
    framed(new Uint8Array(10), { length: 4 * MIB + 1 }),
    Status.RESOURCE_EXHAUSTED,
  ],
  "a message that is larger than it may be": [UNARY, framed(new Uint8Array(5 * MIB)), Status.RESOURCE_EXHAUSTED],
  "a message that says it has 4 GiB": [
    UNARY,
    framed(new Uint8Array(10), { length: 0xffff_ffff }),
    Status.RESOURCE_EXHAUSTED,
  ],
  "no message": [UNARY, new Uint8Array(), Status.UNIMPLEMENTED],
  "two messages for one": [UNARY, Buffer.concat([honest, honest]), Status.UNIMPLEMENTED],
  "a field of no wire type": [UNARY, framed(Buffer.from([0x0f, 1, 2, 3])), Status.INTERNAL],
  "a field longer than its message": [UNARY, framed(Buffer.from([0x0a, 0x7f, 0x41])), Status.INTERNAL],
  "a number that does not end": [UNARY, framed(new Uint8Array(64).fill(0xff)), Status.INTERNAL],
  // ts-proto takes it for the message's own.
  "the end of a group that did not begin": [UNARY, framed(new Uint8Array(64).fill(0x0c)), Status.OK],
  "100,000 groups within each other": [UNARY, framed(new Uint8Array(100_000).fill(0x0b)), Status.INTERNAL],
  "a compressed message of an encoding that nobody named": [
    UNARY,
    framed(gzipSync(honest), { flag: 1 }),
    Status.INTERNAL,
  ],
};

/** One for all of the attacks: what one leaves behind, the next finds. */
let server: Victim;
beforeAll(async () => {
  server = await victim(afterAll);
});

test.for(Object.entries(bodies))("%s", async ([, [path, body, code]]) => {
  const connection = session(server.port);
  await server.withstands(async () => {
    for (let time = 0; time < TIMES; time += 1) expect(await call(connection, path, body)).toEqual(refused(code));
  });
});

test("a frame that ends at each of its bytes", async () => {
  const connection = session(server.port);
  await server.withstands(async () => {
    for (let cut = 1; cut < honest.byteLength; cut += 1) {
      for (const path of [UNARY, UPLOAD]) {
        const seen = await call(connection, path, honest.subarray(0, cut));
        expect(seen.grpc, `${path} cut after ${cut} bytes`).not.toBe(Status.OK);
        expect(seen.http).toBe(200);
      }
    }
  });
});

test("a frame whose bytes come one by one is an honest one", async () => {
  const stream = open(session(server.port), UNARY);
  for (const byte of honest) stream.write(Buffer.of(byte));
  stream.end();
  expect(await end(stream)).toEqual(refused(Status.OK));
});

/** Zeros, a thousandth of their size as gzip has them. */
const bomb = gzipSync(new Uint8Array(1024 * MIB));

test("a message that is a gigabyte once it is unpacked", async () => {
  const server = await victim(onTestFinished);
  const connection = session(server.port);
  await server.withstands(async () => {
    for (let time = 0; time < 2; time += 1) {
      const seen = await call(connection, UNARY, framed(bomb, { flag: 1 }), { "grpc-encoding": "gzip" });
      expect(seen).toEqual(refused(Status.RESOURCE_EXHAUSTED));
    }
  });
});

test("an encoding that the server does not know", async () => {
  const body = framed(honest, { flag: 1 });
  const seen = await call(session(server.port), UNARY, body, { "grpc-encoding": "zstd-of-tomorrow" });
  expect(seen).toEqual(refused(Status.UNIMPLEMENTED));
  await server.serves();
});

/** Answered in HTTP alone, as no call of gRPC's. */
const notGrpc: Seen = { http: 415, grpc: undefined, reset: 0 };

const headers: Readonly<Record<string, readonly [sent: Record<string, string | undefined>, answer: Seen]>> = {
  "the content type of a browser": [{ "content-type": "text/html" }, notGrpc],
  "the content type of gRPC-Web": [{ "content-type": "application/grpc-web+proto" }, notGrpc],
  "no content type": [{ "content-type": undefined }, notGrpc],
  // grpc-js does not look at it.
  "another method than POST": [{ ":method": "GET" }, refused(Status.OK)],
  "a path of no service": [{ ":path": "/" }, refused(Status.UNIMPLEMENTED)],
  "a path that goes up": [{ ":path": "/../../etc/passwd" }, refused(Status.UNIMPLEMENTED)],
  "a path of 10,000 letters": [{ ":path": `/${"x".repeat(10_000)}` }, refused(Status.UNIMPLEMENTED)],
  "a deadline that is none": [{ "grpc-timeout": "soon" }, refused(Status.INTERNAL)],
  "a deadline of 20 digits": [{ "grpc-timeout": `${"9".repeat(20)}S` }, refused(Status.INTERNAL)],
  "a deadline before now": [{ "grpc-timeout": "-1S" }, refused(Status.INTERNAL)],
  "a deadline after 10,000 years": [{ "grpc-timeout": "99999999H" }, refused(Status.OK)],
  // Decoded as far as it goes.
  "a binary header that is no base64": [{ "x-trace-bin": "%%%%" }, refused(Status.OK)],
};

test.for(Object.entries(headers))("%s", async ([, [sent, answer]]) => {
  const connection = session(server.port);
  await server.withstands(async () => {
    for (let time = 0; time < TIMES; time += 1) {
      expect(await call(connection, UNARY, honest, sent)).toEqual(answer);
    }
  });
});

test("headers of a megabyte", async () => {
  await server.withstands(async () => {
    for (let time = 0; time < 10; time += 1) {
      const many = Object.fromEntries(Array.from({ length: 250 }, (_, n) => [`x-${n}`, "v".repeat(4_000)]));
      const seen = await call(session(server.port), UNARY, honest, many);
      expect(seen.grpc).not.toBe(Status.OK);
    }
  });
});
