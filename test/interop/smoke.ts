import { RpcError, Status } from "bowline";
import type { Metadata } from "nice-grpc-common";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import { freePort } from "../support/free-port.ts";
import { rejection } from "../support/orders.ts";
import { expectStatus, sizes } from "./expectations.ts";
import type { TestServiceClient } from "./gen/grpc/testing/test.contract.ts";
import type { ServerProcess } from "./programs.ts";
import { SMOKE_CASES, type SmokeCase } from "./smoke-cases.ts";
import { BAD_REQUEST, type Seen, serveSmoke } from "./smoke-server.ts";
import { SuiteClient } from "./suite-client.ts";
import { ECHOED } from "./test-server.ts";

/** Another implementation's programs, which do what Bowline does here on either side. */
export interface Peer {
  /** Executes a case against a server on a port; rejects if it fails. */
  runClient(name: SmokeCase, port: number): Promise<void>;
  startServer(port: number): Promise<ServerProcess>;
}

const every = (intervalMs: number, count: number) =>
  Array.from({ length: count }, () => ({ size: 1, intervalUs: intervalMs * 1_000 }));

/** The trailers of a call that succeeds. */
async function trailersOf(tests: TestServiceClient, options: object = {}): Promise<Metadata | undefined> {
  let trailers: Metadata | undefined;
  await tests.unaryCall({}, { timeoutMs: 10_000, ...options, onTrailer: (trailer) => (trailers = trailer) });
  return trailers;
}

/** The cases as Bowline's client executes them. */
const OURS: Readonly<Record<SmokeCase, (tests: TestServiceClient) => Promise<void>>> = {
  async unary(tests) {
    expect((await tests.unaryCall({ responseSize: 314_159 })).payload?.body.byteLength).toBe(314_159);
  },

  async server_stream(tests) {
    const responseParameters = [{ size: 31_415 }, { size: 9 }, { size: 2_653 }];
    expect(await sizes(tests.streamingOutputCall({ responseParameters }))).toEqual([31_415, 9, 2_653]);
  },

  async deadline(tests) {
    const late = tests.streamingOutputCall({ responseParameters: every(10_000, 1) }, { timeoutMs: 300 });
    await expectStatus(sizes(late), Status.DEADLINE_EXCEEDED);
    const remainingMs = Number((await trailersOf(tests))?.get("x-remaining-ms"));
    expect(remainingMs).toBeGreaterThan(0);
    expect(remainingMs).toBeLessThanOrEqual(10_000);
  },

  async cancel(tests) {
    const before = Number((await trailersOf(tests))?.get("x-cancelled"));
    for await (const _ of tests.streamingOutputCall({ responseParameters: every(50, 100) })) break;
    await vi.waitFor(async () => expect(Number((await trailersOf(tests))?.get("x-cancelled"))).toBe(before + 1), 5_000);
  },

  async metadata(tests) {
    const bytes = Buffer.of(0xab, 0x00, 0xff);
    const headers: Metadata[] = [];
    const metadata = { [ECHOED.header]: "hello", [ECHOED.trailer]: bytes };
    const trailers = await trailersOf(tests, { metadata, onHeader: (header: Metadata) => headers.push(header) });
    expect(headers.map((header) => header.get(ECHOED.header))).toEqual(["hello"]);
    expect(trailers?.get(ECHOED.trailer)).toEqual(bytes);
  },

  async rich_error(tests) {
    const error = RpcError.from(await rejection(tests.unaryCall({ responseStatus: { code: 3, message: "no ☺" } })));
    expect(error).toMatchObject({ code: Status.INVALID_ARGUMENT, details: "no ☺", origin: "wire" });
    expect(error.statusDetails).toMatchObject([BAD_REQUEST]);
  },
};

/** What Bowline's server must have seen of a case besides. */
const SEEN: Readonly<Record<SmokeCase, (seen: Seen) => void>> = {
  unary: ({ calls }) => expect(calls).toEqual(["unaryCall"]),
  server_stream: ({ calls }) => expect(calls).toEqual(["streamingOutputCall"]),
  metadata: ({ calls }) => expect(calls).toEqual(["unaryCall"]),
  rich_error: ({ calls }) => expect(calls).toEqual(["unaryCall"]),
  deadline: ({ brokenOff, waits: [waitMs = 0] }) => {
    expect(waitMs).toBeGreaterThan(0);
    // Python's grpcio rounds a timeout up.
    expect(waitMs).toBeLessThanOrEqual(1_100);
    // By the server's own deadline or the client's reset, whichever comes first.
    expect(brokenOff).toHaveLength(1);
  },
  cancel: ({ brokenOff }) => expect(brokenOff).toHaveLength(1),
};

/** Starting a virtual machine takes a while on a busy machine. */
const START_TIMEOUT_MS = 60_000;

/**
 * Defines the tests of both directions with another implementation, over plaintext.
 *
 * @param peer undefined where its tools are missing: the tests are skipped.
 */
export function describeSmoke(name: string, peer: Peer | undefined): void {
  describe.skipIf(!peer)(`${name} to Bowline`, () => {
    test.each(SMOKE_CASES)("%s", async (smokeCase) => {
      const { port, seen } = await serveSmoke();
      await peer?.runClient(smokeCase, port);
      await vi.waitFor(() => SEEN[smokeCase](seen), 5_000);
    });
  });

  describe.skipIf(!peer)(`Bowline to ${name}`, () => {
    let server: ServerProcess | undefined;
    let client: SuiteClient;
    beforeAll(async () => {
      const port = await freePort();
      server = await peer?.startServer(port);
      client = new SuiteClient(port, {});
    }, START_TIMEOUT_MS);
    afterAll(async () => {
      client[Symbol.dispose]();
      await server?.stop();
    });

    test.each(SMOKE_CASES)("%s", (smokeCase) => OURS[smokeCase](client.tests));
  });
}
