import * as stream from "bowline/stream";
import { expect, test } from "vitest";
import { sourceOf } from "../../support/message-source.ts";

const { batch, buffer, collect, filter, latest, map, mapConcurrent, merge, take, tap, timeoutBetween } =
  stream as unknown as Record<string, (...args: unknown[]) => unknown>;

const source = sourceOf(1);
const noSource = "source must be an AsyncIterable; it is";

test.each<[string, () => unknown, string]>([
  [
    "map",
    () => map?.([1], "double"),
    `map: ${noSource} an object (Array); transform must be a function; it is "double"`,
  ],
  ["options", () => map?.(source, Number, { signl: 1 }), "map: there is no option signl; there are signal"],
  ["null", () => map?.(source, Number, null), "map: the options must be an object; they are null"],
  ["filter", () => filter?.(undefined, 1), `filter: ${noSource} undefined; isWanted must be a function; it is 1`],
  ["tap", () => tap?.(Object.create(null), 1), `tap: ${noSource} an object (Object); look must be a function; it is 1`],
  ["take", () => take?.(source, -1), "take: count must be a whole number of at least 0; it is -1"],
  [
    "batch",
    () => batch?.(source, 0, Number.NaN, { clock: 1 }),
    "batch: maxSize must be a whole number of at least 1; it is 0; maxWaitMs must be a number of milliseconds greater than zero; it is NaN; clock must be a Clock; it is 1",
  ],
  ["merge", () => merge?.(source), "merge: sources must be an array of AsyncIterables"],
  ["merge's", () => merge?.([source, 1]), "merge: sources [1] must be an AsyncIterable; it is 1"],
  [
    "mapConcurrent",
    () => mapConcurrent?.(source, 1.5, undefined, { ordered: "no", signal: {} }),
    'mapConcurrent: concurrency must be a whole number of at least 1; it is 1.5; transform must be a function; it is undefined; ordered must be true or false; it is "no"; signal must be an AbortSignal; it is an object (Object)',
  ],
  [
    "timeoutBetween",
    () => timeoutBetween?.(source),
    "timeoutBetween: timeoutMs must be a number of milliseconds greater than zero; it is undefined",
  ],
  [
    "latest",
    () => latest?.(1, { maxMessages: 2 }),
    `latest: ${noSource} 1; there is no option maxMessages; there are signal, clock`,
  ],
  [
    "buffer",
    () => buffer?.(source, { maxMessages: 0, maxBytes: 10, overflow: "drop", key: String }),
    'buffer: maxMessages must be a whole number of at least 1; it is 0; overflow must be block or drop-oldest or drop-newest or latest-by-key or error; it is "drop"; maxBytes takes sizeOf, which says how large a message is; key is for overflow latest-by-key alone',
  ],
  ["buffer's key", () => buffer?.(source, { overflow: "latest-by-key" }), "buffer: overflow latest-by-key takes key"],
])("%s says all that is wrong with its arguments", (_, call, message) => {
  expect(call).toThrow(new TypeError(message));
});

test("collect rejects with all that is wrong", async () => {
  await expect(collect?.(1, Number.POSITIVE_INFINITY)).rejects.toThrow(
    new TypeError(`collect: ${noSource} 1; limit must be a whole number of at least 1; it is Infinity`),
  );
});
