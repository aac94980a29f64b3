import { describe, expect, test } from "vitest";
import { Bulkhead, type BulkheadPermit } from "../../../src/policy/bulkhead.ts";
import { aLimit, granted, queued, refused } from "../../support/isolating.ts";

const aBulkhead = (maxConcurrent: number, maxQueued = 0) => new Bulkhead({ maxConcurrent, maxQueued });

describe("without a queue", () => {
  test("as many as may are under way, and one more is rejected", () => {
    const bulkhead = aBulkhead(2);
    granted(bulkhead);
    const second = granted(bulkhead);
    expect(refused(bulkhead)).toEqual({ granted: false, queued: false, full: "bulkhead" });
    expect(bulkhead.snapshot()).toEqual({ underWay: 2, queued: 0 });
    second.release();
    granted(bulkhead);
    refused(bulkhead);
  });

  test("a permit is given back once", () => {
    const bulkhead = aBulkhead(2);
    const first = granted(bulkhead);
    granted(bulkhead);
    first.release();
    first.release();
    expect(bulkhead.snapshot()).toEqual({ underWay: 1, queued: 0 });
  });
});

describe("with a queue", () => {
  test("as many as may wait, and one more is rejected", () => {
    const bulkhead = aBulkhead(1, 2);
    granted(bulkhead);
    queued(bulkhead);
    queued(bulkhead);
    refused(bulkhead);
    expect(bulkhead.snapshot()).toEqual({ underWay: 1, queued: 2 });
  });

  test("turns come in the order of arrival", () => {
    const bulkhead = aBulkhead(1, 3);
    const running = granted(bulkhead);
    const [first, second] = [queued(bulkhead), queued(bulkhead)];
    running.release();
    expect([first.permits.length, second.permits.length]).toEqual([1, 0]);
    first.permits[0]?.release();
    expect(second.permits.length).toBe(1);
    expect(bulkhead.snapshot()).toEqual({ underWay: 1, queued: 0 });
  });

  test("whoever comes as a permit is given back stands behind those that wait", () => {
    const bulkhead = aBulkhead(1, 3);
    const running = granted(bulkhead);
    const waiting = queued(bulkhead);
    const seen: object[] = [];
    // In the very moment in which the turn comes.
    waiting.onTurn(() => seen.push(bulkhead.tryAcquire()));
    running.release();
    expect(seen).toMatchObject([{ granted: false, queued: true }]);
    expect(bulkhead.snapshot()).toEqual({ underWay: 1, queued: 1 });
  });

  test("one that leaves makes room for another, and its turn never comes", () => {
    const bulkhead = aBulkhead(1, 1);
    const running = granted(bulkhead);
    const left = queued(bulkhead);
    expect(left.leave()).toBe(true);
    const next = queued(bulkhead);
    running.release();
    expect([left.permits.length, next.permits.length]).toEqual([0, 1]);
  });

  test("one whose turn has come, or that has left, cannot leave", () => {
    const bulkhead = aBulkhead(1, 2);
    const running = granted(bulkhead);
    const [first, second] = [queued(bulkhead), queued(bulkhead)];
    running.release();
    expect(first.leave()).toBe(false);
    expect([second.leave(), second.leave()]).toEqual([true, false]);
    expect(bulkhead.snapshot()).toEqual({ underWay: 1, queued: 0 });
  });

  test("turns that give their permit back at once follow each other in order", () => {
    const bulkhead = aBulkhead(1, 3);
    const running = granted(bulkhead);
    const order: number[] = [];
    for (const n of [1, 2, 3]) {
      queued(bulkhead).onTurn((permit: BulkheadPermit) => {
        order.push(n);
        permit.release();
      });
    }
    running.release();
    expect(order).toEqual([1, 2, 3]);
    expect(bulkhead.snapshot()).toEqual({ underWay: 0, queued: 0 });
  });
});

describe("with a limit of the target's", () => {
  const options = { maxConcurrent: 5, maxQueued: 5 };
  const one = { initialLimit: 1, minLimit: 1 };

  test("a call needs room in both, and says which has none", () => {
    const { limit } = aLimit(one);
    const [first, second] = [new Bulkhead({ maxConcurrent: 5, maxQueued: 0 }, limit), aBulkhead(1)];
    granted(first);
    expect(refused(first).full).toBe("limit");
    granted(second);
    expect(refused(second).full).toBe("bulkhead");
    expect(first.snapshot()).toEqual({ underWay: 1, queued: 0 });
  });

  test("a permit that is given back gives back the limit's, once", () => {
    const { limit } = aLimit();
    const bulkhead = new Bulkhead(options, limit);
    const permit = granted(bulkhead);
    granted(bulkhead);
    permit.release();
    permit.release();
    permit.limit?.success();
    expect(limit.snapshot().inFlight).toBe(1);
  });

  test("calls wait for the limit in order, and none is turned away because it fell", () => {
    const { limit } = aLimit(one);
    const bulkhead = new Bulkhead(options, limit);
    const running = granted(bulkhead);
    const [first, second] = [queued(bulkhead), queued(bulkhead)];
    running.limit?.success();
    expect([first.permits.length, second.permits.length]).toEqual([1, 0]);
    running.release();
    expect([first.permits.length, second.permits.length]).toEqual([1, 0]);
    first.permits[0]?.release();
    expect(second.permits.length).toBe(1);
  });

  test("bulkheads take turns at the limit", () => {
    const { limit } = aLimit(one);
    const [a, b] = [new Bulkhead(options, limit), new Bulkhead(options, limit)];
    const running = granted(a);
    const places = [queued(a), queued(a), queued(b), queued(b)];
    const order: number[] = [];
    let next: BulkheadPermit | undefined = running;
    while (next) {
      next.release();
      const at = places.findIndex(({ permits }, n) => permits.length > 0 && !order.includes(n));
      next = places[at]?.permits[0];
      if (next) order.push(at);
    }
    expect(order).toEqual([0, 2, 1, 3]);
    expect(limit.snapshot().inFlight).toBe(0);
  });

  test("one that left does not hold up those of another bulkhead", () => {
    const { limit } = aLimit(one);
    const [a, b] = [new Bulkhead(options, limit), new Bulkhead(options, limit)];
    const running = granted(a);
    const left = queued(a);
    const other = queued(b);
    left.leave();
    running.release();
    expect([left.permits.length, other.permits.length]).toEqual([0, 1]);
  });

  test("a limit that rises lets in as many as there is room for", async () => {
    const { limit, clock } = aLimit({ initialLimit: 2, minLimit: 1, smoothing: 1 });
    const bulkhead = new Bulkhead({ maxConcurrent: 100, maxQueued: 100 }, limit);
    for (let n = 0; n < 10; n += 1) {
      const [first, second] = [granted(bulkhead), granted(bulkhead)];
      const waiting = n === 9 ? Array.from({ length: 9 }, () => queued(bulkhead)) : [];
      await clock.advance(120);
      first.limit?.success();
      first.release();
      if (n < 9) {
        second.limit?.success();
        second.release();
        continue;
      }
      // 2 + 4 are 6, of which one is under way.
      expect(limit.snapshot()).toMatchObject({ limit: 6, inFlight: 6 });
      expect(waiting.map(({ permits }) => permits.length)).toEqual([1, 1, 1, 1, 1, 0, 0, 0, 0]);
    }
  });
});
