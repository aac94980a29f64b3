import { RpcError, Status } from "bowline";
import type { CallOptions } from "bowline/runtime/v1";
import type { Metadata } from "nice-grpc-common";
import { expect } from "vitest";
import { rejection } from "../support/orders.ts";
import { type ClientCases, type Duplex, expectStatus, largeUnary, requestsOf, sizes } from "./expectations.ts";
import { TestService, UnimplementedService } from "./gen/grpc/testing/test.contract.ts";
import type { SuiteClient } from "./suite-client.ts";
import { ECHOED } from "./test-server.ts";

const REQUEST_SIZES = [27_182, 8, 1_828, 45_904] as const;
const RESPONSE_SIZES = [31_415, 9, 2_653, 58_979] as const;
const SOAK_CALLS = 10;

function duplex(index: 0 | 1 | 2 | 3): Duplex {
  const body = new Uint8Array(REQUEST_SIZES[index]);
  return { responseParameters: [{ size: RESPONSE_SIZES[index] }], payload: { body } };
}

/** Wants a case's metadata echoed by a call. */
async function expectEcho(call: (options: CallOptions) => Promise<unknown>): Promise<void> {
  const metadata = { [ECHOED.header]: "test_initial_metadata_value", [ECHOED.trailer]: new Uint8Array(3).fill(0xab) };
  const seen: { header?: Metadata; trailer?: Metadata } = {};
  await call({
    metadata,
    onHeader: (header) => Object.assign(seen, { header }),
    onTrailer: (trailer) => Object.assign(seen, { trailer }),
  });
  expect(seen.header?.getAll(ECHOED.header)).toEqual(["test_initial_metadata_value"]);
  expect(seen.trailer?.getAll(ECHOED.trailer)).toEqual([Buffer.of(0xab, 0xab, 0xab)]);
}

async function expectEchoedStatus({ tests }: SuiteClient, message: string): Promise<void> {
  const responseStatus = { code: Status.UNKNOWN, message };
  await expectStatus(tests.unaryCall({ responseStatus }), Status.UNKNOWN, message);
  await expectStatus(sizes(tests.fullDuplexCall(requestsOf({ responseStatus }).end())), Status.UNKNOWN, message);
}

/** The cases about calls themselves. */
export const CALL_CASES: ClientCases = {
  async empty_unary({ tests }) {
    expect(await tests.emptyCall({})).toEqual({});
  },

  async cacheable_unary({ tests }) {
    const request = { payload: { body: Buffer.from(String(process.hrtime.bigint())) } };
    const options = { metadata: { "x-user-ip": "1.2.3.4" } };
    const first = await tests.cacheableUnaryCall(request, options);
    expect((await tests.cacheableUnaryCall(request, options)).payload).toEqual(first.payload);
  },

  large_unary: ({ tests }) => largeUnary(tests),

  async client_streaming({ tests }) {
    const requests = REQUEST_SIZES.map((size) => ({ payload: { body: new Uint8Array(size) } }));
    const answer = await tests.streamingInputCall(requestsOf(...requests).end());
    expect(answer.aggregatedPayloadSize).toBe(74_922);
  },

  async server_streaming({ tests }) {
    const responseParameters = RESPONSE_SIZES.map((size) => ({ size }));
    expect(await sizes(tests.streamingOutputCall({ responseParameters }))).toEqual(RESPONSE_SIZES);
  },

  async ping_pong({ tests }) {
    const requests = requestsOf();
    const responses = tests.fullDuplexCall(requests);
    for (const index of [0, 1, 2, 3] as const) {
      requests.write(duplex(index));
      expect((await responses.next()).value?.payload?.body.byteLength).toBe(RESPONSE_SIZES[index]);
    }
    requests.end();
    expect(await responses.next()).toEqual({ done: true, value: undefined });
  },

  async empty_stream({ tests }) {
    expect(await sizes(tests.fullDuplexCall(requestsOf().end()))).toEqual([]);
  },

  async custom_metadata({ tests }) {
    await expectEcho((options) => largeUnary(tests, {}, options));
    await expectEcho((options) => sizes(tests.fullDuplexCall(requestsOf(duplex(0)).end(), options)));
  },

  status_code_and_message: (client) => expectEchoedStatus(client, "test status message"),
  special_status_message: (client) =>
    expectEchoedStatus(client, "\t\ntest with whitespace\r\nand Unicode BMP ☺ and non-BMP 😈\t\n"),

  unimplemented_method: ({ tests }) => expectStatus(tests.unimplementedCall({}), Status.UNIMPLEMENTED),
  unimplemented_service: (client) =>
    expectStatus(client.open(UnimplementedService).unimplementedCall({}), Status.UNIMPLEMENTED),

  async cancel_after_begin({ tests }) {
    const controller = new AbortController();
    const answer = rejection(tests.streamingInputCall(requestsOf(), { signal: controller.signal }));
    controller.abort();
    expect(await answer).toBe(controller.signal.reason);
    expect(RpcError.from(await answer).code).toBe(Status.CANCELLED);
  },

  async cancel_after_first_response({ tests }) {
    const controller = new AbortController();
    const responses = tests.fullDuplexCall(requestsOf(duplex(0)), { signal: controller.signal });
    expect((await responses.next()).value?.payload?.body.byteLength).toBe(RESPONSE_SIZES[0]);
    controller.abort();
    const error = await rejection(responses.next());
    expect(error).toBe(controller.signal.reason);
    expect(RpcError.from(error).code).toBe(Status.CANCELLED);
  },

  async timeout_on_sleeping_server({ tests }) {
    const requests = requestsOf({ payload: { body: new Uint8Array(REQUEST_SIZES[0]) } });
    await expectStatus(sizes(tests.fullDuplexCall(requests, { timeoutMs: 1 })), Status.DEADLINE_EXCEEDED);
  },

  async pick_first_unary({ tests }) {
    const ids = new Set<string>();
    for (let call = 0; call < 100; call += 1) {
      ids.add((await tests.unaryCall({ responseSize: 1, fillServerId: true })).serverId);
    }
    expect([...ids], "the ids of the server").toEqual([expect.stringMatching(/./)]);
  },

  async rpc_soak({ tests }) {
    for (let call = 0; call < SOAK_CALLS; call += 1) await largeUnary(tests);
  },

  async channel_soak(client) {
    for (let call = 0; call < SOAK_CALLS; call += 1) await largeUnary(client.open(TestService));
  },
};
