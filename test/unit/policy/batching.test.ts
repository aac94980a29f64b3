import { expect, test } from "vitest";
import { Batching } from "../../../src/policy/batching.ts";

/** Batches of at most three, numbered as they are opened. */
function three() {
  let opened = 0;
  const batching = new Batching<number>({ maxSize: 3 });
  return { batching, join: (key = "a") => batching.join(key, () => ++opened) };
}

test("those of one key share a batch until it is full", () => {
  const { join } = three();
  const seats = [join(), join(), join(), join()].map(({ work, first, full }) => [work, first, full]);
  expect(seats).toEqual([
    [1, true, false],
    [1, false, false],
    [1, false, true],
    [2, true, false],
  ]);
});

test("those of another key do not", () => {
  const { join, batching } = three();
  expect([join("a").work, join("b").work, join("a").work]).toEqual([1, 2, 1]);
  expect(batching.snapshot()).toEqual({ open: 2, gathered: 3 });
  expect(batching.open()).toEqual([1, 2]);
});

test("a batch that is sent takes no others", () => {
  const { join, batching } = three();
  const seat = join();
  seat.end();
  expect(join().work).toBe(2);
  seat.end();
  expect(batching.snapshot()).toEqual({ open: 1, gathered: 1 });
});

test("a place that is given up is free for another, once", () => {
  const { join } = three();
  const [first, second] = [join(), join()];
  expect([second.leave(), second.leave()]).toEqual([false, false]);
  expect(join().full).toBe(false);
  expect(join().full).toBe(true);
  expect(first.work).toBe(1);
});

test("the last one to leave says so, before and after it is sent, and the next one opens another", () => {
  const { join, batching } = three();
  expect(join().leave()).toBe(true);
  const [first, second] = [join(), join()];
  first.end();
  expect([first.leave(), second.leave()]).toEqual([false, true]);
  expect(batching.snapshot()).toEqual({ open: 0, gathered: 0 });
  expect(join().work).toBe(3);
});
