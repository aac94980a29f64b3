import { once } from "node:events";
import type { Socket } from "node:net";
import { setTimeout } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from "vitest";
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

/** One for all of the attacks: what one leaves behind, the next finds. It counts connections by peer, too. */
let server: Victim;
beforeAll(async () => {
  server = await victim(afterAll, { maxConnectionsPerPeer: 5_000 });
});

/** What is done with so many connections at once. */
interface Attack {
  readonly connections: number;
  /** Whether they begin with HTTP/2's preface and settings. */
  readonly greeted: boolean;
  readonly sent: Uint8Array;
}

/** Connections of which each sends the same; after its greeting, unless that is left out. */
function swarm(connections: number, sent: Uint8Array, { greeted = true } = {}): Attack {
  return { connections, greeted, sent };
}

/** Connects, and sends. */
async function begin({ connections, greeted, sent }: Attack, port: number): Promise<Socket[]> {
  const sockets = await Promise.all(Array.from({ length: connections }, () => bytes(port, { greeted })));
  for (const socket of sockets) socket.write(sent);
  return sockets;
}

/** Waits until the server has closed all of them. */
async function allClosed(sockets: readonly Socket[]): Promise<void> {
  await Promise.all(sockets.map((socket) => socket.closed || once(socket, "close")));
}

/** The same frame so many times. */
const times = (count: number, frame: Buffer) => Buffer.concat(Array.from({ length: count }, () => frame));
const empty = (type: number, streamId: number) => http2Frame(type, 0, streamId, new Uint8Array());

/** Headers of a call without end: the name and value of a literal field, not to be indexed. */
const field = Buffer.concat([Buffer.of(0, 1), Buffer.from("x"), Buffer.of(100), Buffer.alloc(100, "v")]);
const begun = http2Frame(Frame.HEADERS, 0, 1, field);
const ping = http2Frame(Frame.PING, 0, 0, new Uint8Array(8));

describe("the server closes", () => {
  test.for(
    Object.entries({
      "connections that speak HTTP/1": swarm(100, Buffer.from("GET / HTTP/1.1\r\nHost: x\r\n\r\n"), { greeted: false }),
      "connections that speak nonsense": swarm(100, Buffer.alloc(1_000, 0xfe), { greeted: false }),
      "calls whose headers never end": swarm(
        100,
        Buffer.concat([begun, times(200, http2Frame(Frame.CONTINUATION, 0, 1, field))]),
      ),
      "calls whose headers are broken into": swarm(100, Buffer.concat([begun, ping])),
      "frames longer than may be": swarm(100, http2Frame(Frame.DATA, 0, 1, new Uint8Array(100_000))),
      "streams of an even number": swarm(100, http2Frame(Frame.HEADERS, HEADERS_END, 2, field)),
      "data for streams that there are not": swarm(100, times(100, empty(Frame.DATA, 1))),
      "a flood of pings": swarm(5, times(50_000, ping)),
      "a flood of settings": swarm(5, times(20_000, empty(Frame.SETTINGS, 0))),
    }),
  )("%s", async ([, attack]) => {
    await server.withstands(async () => allClosed(await begin(attack, server.port)));
  });
});

/** What there is nothing wrong with but that it does not go on. */
const silent: Readonly<Record<string, Attack>> = {
  "connections that say nothing": swarm(100, new Uint8Array(), { greeted: false }),
  "connections that begin to greet": swarm(100, PREFACE.subarray(0, 10), { greeted: false }),
  "connections that greet, and say nothing more": swarm(100, new Uint8Array()),
  "pings, not too many": swarm(100, times(100, ping)),
};

/** Of these HTTP/2 waits for the end of a call's headers, where being idle is not enough. */
const unfinished: Readonly<Record<string, Attack>> = {
  "calls whose headers do not go on": swarm(100, begun),
  "frames that are cut": swarm(100, begun.subarray(0, 20)),
};

const held = Object.entries({ ...silent, ...unfinished });

describe("the server holds, beside honest clients", () => {
  test.for(held)("%s", async ([, attack]) => {
    await server.withstands(async () => {
      const sockets = await begin(attack, server.port);
      await server.serves();
      expect(sockets.filter((socket) => socket.closed)).toEqual([]);
      for (const socket of sockets) socket.destroy();
      await allClosed(sockets);
    });
  });
});

describe("no longer than its limits say", () => {
  /** With the limit that a test is about, and the others as they are by default. */
  let impatient: Victim;
  let watchful: Victim;
  beforeAll(async () => {
    impatient = await victim(afterAll, { maxConnectionIdleMs: 300 });
    watchful = await victim(afterAll, { keepaliveTimeMs: 300, keepaliveTimeoutMs: 300 });
  });

  test.for(Object.entries(silent))("%s: maxConnectionIdleMs", async ([, attack]) => {
    await allClosed(await begin({ ...attack, connections: 20 }, impatient.port));
    await impatient.serves();
  });

  test.for(held)("%s: keepaliveTimeMs, which asks for a sign of life that does not come", async ([, attack]) => {
    await allClosed(await begin({ ...attack, connections: 20 }, watchful.port));
    await watchful.serves();
  });

  test("calls that never end: maxConnectionAgeMs and maxConnectionAgeGraceMs", async () => {
    const short = await victim(onTestFinished, { maxConnectionAgeMs: 300, maxConnectionAgeGraceMs: 300 });
    const connection = session(short.port);
    const loris = open(connection, UNARY);
    loris.write(framed(new Uint8Array(100)).subarray(0, 20));
    const watch = open(connection, STREAM);
    watch.end(framed(new Uint8Array()));
    await Promise.all([once(connection, "close"), end(loris), end(watch)]);
    expect((await short.idle()).handled.watchOrders).toBe(1);
    await short.serves();
  });

  test("calls of one connection: maxStreamsPerConnection", async () => {
    const strict = await victim(onTestFinished, { maxStreamsPerConnection: 20 });
    const connection = session(strict.port);
    await once(connection, "remoteSettings");
    expect(connection.remoteSettings.maxConcurrentStreams).toBe(20);
    const streams = Array.from({ length: 30 }, () => open(connection, STREAM));
    for (const stream of streams) stream.end(framed(new Uint8Array()));
    await Promise.all(streams.slice(0, 20).map((stream) => once(stream, "response")));
    expect((await strict.state()).running).toBe(20);
    connection.destroy();
    await strict.idle();
  });

  test("calls that are opened and reset: maxStreamResetsPerSecond, ten times as many at once", async () => {
    const strict = await victim(onTestFinished, { maxStreamResetsPerSecond: 10 });
    const connection = session(strict.port);
    let opened = 0;
    for (; !connection.closed && !connection.destroyed; opened += 1) {
      const stream = open(connection, STREAM);
      await setTimeout(1);
      stream.close(8);
    }
    expect(opened).toBeGreaterThanOrEqual(100);
    expect((await strict.idle()).running).toBe(0);
    await strict.serves();
  });
});

test("10,000 streams that are opened and reset, 2,500 at a time (CVE-2023-44487)", async () => {
  await server.withstands(async () => {
    // What a connection may reset at once is 10,000.
    const connection = session(server.port);
    for (let burst = 0; burst < 25; burst += 1) {
      const streams = Array.from({ length: 100 }, () => open(connection, STREAM));
      const ends = streams.map(end);
      await setTimeout(1);
      for (const stream of streams) stream.close(8);
      await Promise.all(ends);
    }
    connection.destroy();
  });
});

test("200 calls whose request comes a byte at a time, and never whole (slow loris)", async () => {
  await server.withstands(async () => {
    const connection = session(server.port);
    const streams = Array.from({ length: 200 }, () => open(connection, UNARY));
    for (const byte of framed(new Uint8Array(100)).subarray(0, 20)) {
      for (const stream of streams) stream.write(Buffer.of(byte));
      await setTimeout(10);
    }
    // Honest calls go on meanwhile, and no handler waits for what does not come.
    await server.serves();
    expect((await server.state()).running).toBe(0);
    expect(streams.filter((stream) => stream.closed)).toEqual([]);
    connection.destroy();
  });
});

test("200 streams whose client vanishes in the middle", async () => {
  await server.withstands(async () => {
    const connection = session(server.port);
    const streams = Array.from({ length: 200 }, () => open(connection, STREAM));
    for (const stream of streams) stream.end(framed(new Uint8Array()));
    await Promise.all(streams.map((stream) => once(stream, "response")));
    expect((await server.state()).running).toBe(200);
    connection.socket.destroy();
  });
});
