import { describe, expect, test } from "vitest";
import { ResponseCache, type ResponseCacheOptions } from "../../../src/policy/response-cache.ts";

const aCache = (changes: Partial<ResponseCacheOptions> = {}) => {
  const clock = { at: 0, now: () => clock.at };
  const times = { ttlMs: 100, staleWhileRevalidateMs: 50, staleIfErrorMs: 200 };
  const cache = new ResponseCache({ ...times, maxEntries: 3, maxBytes: 100, ...changes }, clock);
  const keep = (key: string, size = 1, since = clock.at) => cache.keep(key, new Uint8Array(size), since);
  const keys = (...names: string[]) => names.filter((name) => cache.findAfterError(name));
  return { cache, clock, keep, keys };
};

test.each([
  [0, { ageMs: 0, stale: false }, true],
  [99, { ageMs: 99, stale: false }, true],
  [100, { ageMs: 100, stale: true }, true],
  [149, { ageMs: 149, stale: true }, true],
  [150, undefined, true],
  [299, undefined, true],
  [300, undefined, false],
])("after %d ms it is found as %j, and after an error: %j", (at, found, afterError) => {
  const { cache, clock, keep } = aCache();
  keep("a");
  clock.at = at;
  expect(cache.find("a")).toEqual(found && { bytes: new Uint8Array(1), ...found });
  expect(cache.findAfterError("a") !== undefined).toBe(afterError);
  expect(cache.snapshot()).toEqual({ entries: afterError ? 1 : 0, bytes: afterError ? 2 : 0, refreshing: 0 });
});

test("its age begins with its call, and an older answer that comes later takes no newer one's place", () => {
  const { cache, clock, keep } = aCache();
  clock.at = 90;
  keep("a", 1, 40);
  expect(cache.find("a")?.ageMs).toBe(50);
  keep("a", 2, 30);
  expect(cache.find("a")?.bytes.length).toBe(1);
  keep("a", 3, 40);
  expect(cache.find("a")?.bytes.length).toBe(3);
});

describe("within its bounds", () => {
  test("what was used least recently goes first", () => {
    const { cache, keep, keys } = aCache();
    for (const key of ["a", "b", "c"]) keep(key);
    cache.find("a");
    keep("d");
    expect(keys("a", "b", "c", "d")).toEqual(["a", "c", "d"]);
  });

  test("keys and answers count, to the byte", () => {
    const { cache, keep, keys } = aCache({ maxBytes: 10 });
    keep("aa", 3);
    keep("b", 4);
    expect(cache.snapshot()).toMatchObject({ entries: 2, bytes: 10 });
    keep("c", 0);
    expect([keys("aa", "b", "c"), cache.snapshot().bytes]).toEqual([["b", "c"], 6]);
    keep("b", 1);
    expect(cache.snapshot()).toMatchObject({ entries: 2, bytes: 3 });
  });

  test("one that is larger than all of it is not kept, nor is the one before it", () => {
    const { cache, keep } = aCache({ maxBytes: 10 });
    keep("a", 9);
    expect(cache.snapshot().entries).toBe(1);
    keep("a", 10);
    expect(cache.snapshot()).toMatchObject({ entries: 0, bytes: 0 });
  });
});

test("a newer answer is fetched by one at a time, for each key", () => {
  const { cache } = aCache();
  const refresh = cache.tryRefresh("a");
  expect([cache.tryRefresh("a"), cache.tryRefresh("b") === undefined]).toEqual([undefined, false]);
  refresh?.end();
  const next = cache.tryRefresh("a");
  refresh?.end();
  expect([next === undefined, cache.tryRefresh("a")]).toEqual([false, undefined]);
  expect(cache.snapshot().refreshing).toBe(2);
});
