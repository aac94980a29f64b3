import { expect, test } from "vitest";
import { STREAM_BUFFER_BYTES } from "../../src/transport/outflow.ts";
import { flood, OPEN_STREAM_BYTES } from "../support/flood.ts";

test.each([
  ["small", { streams: 1_000, textBytes: 1_000 }],
  ["large", { streams: 1_000, textBytes: 128 * 1024, window: 64 * 1024 }],
  ["huge", { streams: 6, textBytes: 1024 * 1024, window: 64 * 1024 }],
])("so much stands before each reader that stopped: %s messages", async (name, setting) => {
  const { stopped, later, bytesPerStream } = await flood(setting);
  console.log(name, Math.round(bytesPerStream), "bytes per stream,", stopped.yielded, "messages made");
  expect(stopped.running).toBe(setting.streams);
  expect(later.yielded).toBe(stopped.yielded);
  expect(bytesPerStream).toBeLessThan(STREAM_BUFFER_BYTES + setting.textBytes + OPEN_STREAM_BYTES);
});
