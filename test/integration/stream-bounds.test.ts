import { expect, test } from "vitest";
import { STREAM_BUFFER_BYTES } from "../../src/transport/outflow.ts";
import { flood, OPEN_STREAM_BYTES } from "../support/flood.ts";

test.each([
  ["empty", { streams: 5, textBytes: 0, window: 4 * 1024 }],
  ["small", { streams: 30, textBytes: 1_000, window: 4 * 1024 }],
])("handlers of %s messages are suspended, and so much stands before each reader that stopped", async (_, setting) => {
  const { stopped, later, bytesPerStream } = await flood(setting);
  expect(stopped.running).toBe(setting.streams);
  expect(later.yielded).toBe(stopped.yielded);
  expect(bytesPerStream).toBeLessThan(STREAM_BUFFER_BYTES + setting.textBytes + OPEN_STREAM_BYTES);
});
