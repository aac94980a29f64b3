import { expect, test } from "vitest";
import { STREAM_BUFFER_BYTES } from "../../src/transport/outflow.ts";
import { type FloodSetting, flood, OPEN_STREAM_BYTES } from "../support/flood.ts";

/** What a server holds more than before its first stream: code that was compiled, and what a broadcast remembers. */
const WARM_SERVER_BYTES = 4 * 1024 * 1024;

test.each<[string, FloodSetting]>([
  ["small", { streams: 1_000, textBytes: 1_000 }],
  ["large", { streams: 1_000, textBytes: 128 * 1024, window: 64 * 1024 }],
  ["huge", { streams: 6, textBytes: 1024 * 1024, window: 64 * 1024 }],
  ["published", { method: "watchOrders", streams: 1_000, textBytes: 1_000, window: 64 * 1024 }],
])("so much stands before each reader that stopped: %s messages", async (name, setting) => {
  const { stopped, later, bytesPerStream, keptBytes } = await flood(setting);
  console.log(name, { bytesPerStream: Math.round(bytesPerStream), yielded: stopped.yielded, keptBytes });
  expect(stopped.running).toBe(setting.streams);
  expect(later.yielded).toBe(stopped.yielded);
  expect(bytesPerStream).toBeLessThan(STREAM_BUFFER_BYTES + setting.textBytes + OPEN_STREAM_BYTES);
  // Of a thousand streams, that is a few kilobytes each.
  expect(keptBytes).toBeLessThan(WARM_SERVER_BYTES);
});
