import { Status } from "bowline";
import { expect } from "vitest";
import { type ClientCases, expectStatus, LARGE, largeUnary, requestsOf, sizes } from "./expectations.ts";
import { TestService } from "./gen/grpc/testing/test.contract.ts";

/** gzip. grpc-js takes it for a channel: for every message of every call over it. */
export const COMPRESSED = { channelOptions: { "grpc.default_compression_algorithm": 2 } };

const compressed = { value: true };
const plain = { value: false };

/** More than a thousand zeros, compressed, and HTTP/2's frames around them. */
export const FEW_BYTES = 10_000;

const upload = (size: number, expectCompressed: object) => ({
  payload: { body: new Uint8Array(size) },
  expectCompressed,
});

/**
 * The cases about compression. No application can ask grpc-js whether a message came compressed, so the bytes on the
 * wire are counted.
 */
export const COMPRESSION_CASES: ClientCases = {
  async client_compressed_unary(client) {
    await expectStatus(client.tests.unaryCall({ ...LARGE, expectCompressed: compressed }), Status.INVALID_ARGUMENT);
    await largeUnary(client.open(TestService, COMPRESSED), { expectCompressed: compressed });
    await largeUnary(client.tests, { expectCompressed: plain });
  },

  async client_compressed_streaming(client) {
    const probe = requestsOf(upload(27_182, compressed)).end();
    await expectStatus(client.tests.streamingInputCall(probe), Status.INVALID_ARGUMENT);
    const mixed = requestsOf(upload(27_182, compressed), upload(45_904, plain)).end();
    const answer = await client.open(TestService, COMPRESSED).streamingInputCall(mixed);
    expect(answer.aggregatedPayloadSize).toBe(73_086);
  },

  async server_compressed_unary(client) {
    const few = await client.bytesOnWire((tests) => largeUnary(tests, { responseCompressed: compressed }));
    expect(few.down, "bytes of a compressed response").toBeLessThan(FEW_BYTES);
    const more = await client.bytesOnWire((tests) => largeUnary(tests, { responseCompressed: plain }));
    expect(more.down, "bytes of an uncompressed response").toBeGreaterThan(LARGE.responseSize);
  },

  async server_compressed_streaming(client) {
    const responseParameters = [
      { compressed, size: 31_415 },
      { compressed: plain, size: 92_653 },
    ];
    const { down } = await client.bytesOnWire(async (tests) => {
      expect(await sizes(tests.streamingOutputCall({ responseParameters }))).toEqual([31_415, 92_653]);
    });
    expect(down, "bytes of a compressed and an uncompressed response").toBeLessThan(92_653 + FEW_BYTES);
    expect(down).toBeGreaterThan(92_653);
  },
};
