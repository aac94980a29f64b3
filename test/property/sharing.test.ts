import fc from "fast-check";
import { test } from "vitest";
import { ResponseCache } from "../../src/policy/response-cache.ts";
import { historyOf, same } from "../support/histories.ts";
import { playSharing } from "../support/world-histories.ts";

const HISTORIES = 10_000;

test("whatever happens when, each that waits ends with what it must, the shared call is cancelled when all have left, and nothing is left", {
  timeout: 120_000,
}, async () => {
  await playSharing(2_500);
});

const step = fc.record({
  do: fc.constantFrom("keep", "keep", "find", "findAfterError", "pass"),
  key: fc.constantFrom("a", "b", "c", "dd", "eee"),
  value: fc.nat(30),
});

interface Model {
  readonly key: string;
  readonly size: number;
  readonly since: number;
}

test("a cache keeps what a list would, the least recently used first to go, and counts each byte", () => {
  const options = fc.record({
    ttlMs: fc.integer({ min: 1, max: 40 }),
    staleWhileRevalidateMs: fc.nat(40),
    staleIfErrorMs: fc.nat(40),
    maxEntries: fc.integer({ min: 1, max: 4 }),
    maxBytes: fc.integer({ min: 1, max: 60 }),
  });
  fc.assert(
    fc.property(options, historyOf(step, 50), (options, history) => {
      let now = 0;
      const cache = new ResponseCache(options, { now: () => now });
      let list: Model[] = [];
      const bytes = () => list.reduce((sum, { key, size }) => sum + key.length + size, 0);
      const { ttlMs, staleWhileRevalidateMs, staleIfErrorMs } = options;
      for (const { do: what, key, value } of history) {
        const known = list.find((one) => one.key === key);
        if (what === "pass") now += value;
        else if (what === "keep") {
          const since = now - (value % 3);
          cache.keep(key, new Uint8Array(value), since);
          if (!known || known.since <= since) {
            list = list.filter((one) => one !== known);
            if (key.length + value <= options.maxBytes) list.push({ key, size: value, since });
            while (list.length > options.maxEntries || bytes() > options.maxBytes) list.shift();
          }
        } else {
          const found = cache[what](key);
          const ageMs = known ? now - known.since : Number.POSITIVE_INFINITY;
          const given = ageMs < ttlMs + (what === "find" ? staleWhileRevalidateMs : staleIfErrorMs);
          same(`${what} ${key}`, found?.bytes.length, given ? known?.size : undefined);
          same("stale", found?.stale, given ? ageMs >= ttlMs : undefined);
          const dead = ageMs >= ttlMs + Math.max(staleWhileRevalidateMs, staleIfErrorMs);
          if (given || dead) list = list.filter((one) => one !== known);
          if (given && known) list.push(known);
        }
        same("entries", cache.snapshot().entries, list.length);
        same("bytes", cache.snapshot().bytes, bytes());
      }
    }),
    { numRuns: HISTORIES },
  );
});
