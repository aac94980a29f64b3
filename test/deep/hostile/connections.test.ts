import { once } from "node:events";
import type { Socket } from "node:net";
import { setTimeout } from "node:timers/promises";
import { afterAll, beforeAll, test } from "vitest";
import {
  bytes,
  end,
  Frame,
  framed,
  http2Frame,
  open,
  PREFACE,
  STREAM,
  session,
  UNARY,
} from "../../support/attacking.ts";
import { type Victim, victim } from "./victim.ts";

const HEADERS_END = 4;

/** One for all of the attacks: what one leaves behind, the next finds. */
let server: Victim;
beforeAll(async () => {
  server = await victim(afterAll);
});

test("10,000 streams that are opened and reset (CVE-2023-44487)", async () => {
  await server.withstands(async () => {
    // What a connection may reset at once is 10,000: two of them stay within it.
    for (const connection of [session(server.port), session(server.port)]) {
      for (let burst = 0; burst < 50; burst += 1) {
        const streams = Array.from({ length: 100 }, () => open(connection, STREAM));
        const ends = streams.map(end);
        await setTimeout(1);
        for (const stream of streams) stream.close(8);
        await Promise.all(ends);
      }
      connection.destroy();
    }
  });
});

/** Connects so often, does something, and leaves without a word. */
async function swarm(port: number, count: number, greeted: boolean, act: (socket: Socket) => void): Promise<void> {
  const sockets: Socket[] = [];
  for (let connected = 0; connected < count; connected += 1) sockets.push(await bytes(port, { greeted }));
  for (const socket of sockets) act(socket);
  await setTimeout(500);
  for (const socket of sockets) socket.destroy();
  await setTimeout(200);
}

/** Headers of a call without end: the name and value of a literal field, not to be indexed. */
const field = Buffer.concat([Buffer.of(0, 1), Buffer.from("x"), Buffer.of(100), Buffer.alloc(100, "v")]);

const connections: Readonly<Record<string, readonly [greeted: boolean, act: (socket: Socket) => void]>> = {
  "connections that say nothing": [false, () => {}],
  "connections that begin to greet": [false, (socket) => void socket.write(PREFACE.subarray(0, 10))],
  "connections that speak HTTP/1": [false, (socket) => void socket.write("GET / HTTP/1.1\r\nHost: x\r\n\r\n")],
  "connections that speak nonsense": [false, (socket) => void socket.write(Buffer.alloc(1_000, 0xfe))],
  "connections that greet, and say nothing more": [true, () => {}],
  "calls whose headers never end": [
    true,
    (socket) => {
      socket.write(http2Frame(Frame.HEADERS, 0, 1, field));
      for (let more = 0; more < 1_000; more += 1) socket.write(http2Frame(Frame.CONTINUATION, 0, 1, field));
    },
  ],
  "frames that are cut": [true, (socket) => void socket.write(http2Frame(Frame.HEADERS, 0, 1, field).subarray(0, 20))],
  "frames longer than may be": [
    true,
    (socket) => void socket.write(http2Frame(Frame.DATA, 0, 1, new Uint8Array(100_000))),
  ],
  "a flood of pings": [
    true,
    (socket) => {
      for (let ping = 0; ping < 500; ping += 1) socket.write(http2Frame(Frame.PING, 0, 0, new Uint8Array(8)));
    },
  ],
  "a flood of settings": [
    true,
    (socket) => {
      for (let one = 0; one < 500; one += 1) socket.write(http2Frame(Frame.SETTINGS, 0, 0, new Uint8Array()));
    },
  ],
  "streams of an even number": [true, (socket) => void socket.write(http2Frame(Frame.HEADERS, HEADERS_END, 2, field))],
};

test.for(Object.entries(connections))("%s", async ([, [greeted, act]]) => {
  await server.withstands(() => swarm(server.port, 200, greeted, act));
});

test("500 calls whose request comes a byte at a time, and never whole (slow loris)", async () => {
  await server.withstands(async () => {
    const connection = session(server.port);
    const streams = Array.from({ length: 500 }, () => open(connection, UNARY));
    for (const byte of framed(new Uint8Array(100)).subarray(0, 20)) {
      for (const stream of streams) stream.write(Buffer.of(byte));
      await setTimeout(10);
    }
    // Honest calls go on meanwhile.
    await server.serves();
    connection.destroy();
  });
});

test("500 streams whose client vanishes in the middle", async () => {
  await server.withstands(async () => {
    const connection = session(server.port);
    const streams = Array.from({ length: 500 }, () => open(connection, STREAM));
    for (const stream of streams) stream.end(framed(new Uint8Array()));
    await Promise.all(streams.map((stream) => once(stream, "response")));
    connection.socket.destroy();
  });
});
