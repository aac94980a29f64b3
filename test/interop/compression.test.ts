import { expect, onTestFinished, test } from "vitest";
import { COMPRESSED, FEW_BYTES } from "./compression-cases.ts";
import { LARGE, largeUnary } from "./expectations.ts";
import { SuiteClient } from "./suite-client.ts";
import { serveSuite } from "./test-server.ts";

test("Bowline's client compresses for a channel, its server reads that, and answers uncompressed", async () => {
  const { server, port } = await serveSuite({});
  onTestFinished(async () => void (await server.drain({ timeoutMs: 1_000 })));
  using client = new SuiteClient(port, {});
  const plain = await client.bytesOnWire((tests) => largeUnary(tests));
  expect(plain.up).toBeGreaterThan(LARGE.payload.body.byteLength);
  const compressed = await client.bytesOnWire((tests) => largeUnary(tests), COMPRESSED);
  expect(compressed.up).toBeLessThan(FEW_BYTES);
  expect(compressed.down).toBeGreaterThan(LARGE.responseSize);
});
