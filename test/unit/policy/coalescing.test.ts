import { expect, test } from "vitest";
import { Coalescing } from "../../../src/policy/coalescing.ts";

const aDesk = () => {
  let made = 0;
  const coalescing = new Coalescing<number>();
  const join = (key = "a") =>
    coalescing.join(key, () => {
      made += 1;
      return made;
    });
  return { coalescing, join };
};

test("who comes while work is under way joins it, and the first one begins it", () => {
  const { coalescing, join } = aDesk();
  const seats = [join(), join(), join("b")];
  expect(seats.map(({ work, first }) => [work, first])).toEqual([
    [1, true],
    [1, false],
    [2, true],
  ]);
  expect(coalescing.snapshot()).toEqual({ underWay: 2, waiting: 3 });
});

test("the last one to leave cancels it, and who comes then begins anew", () => {
  const { coalescing, join } = aDesk();
  const [first, second] = [join(), join()];
  expect([first.leave(), first.leave(), second.leave(), second.leave()]).toEqual([false, false, true, false]);
  expect(coalescing.snapshot()).toEqual({ underWay: 0, waiting: 0 });
  expect(join()).toMatchObject({ work: 2, first: true });
});

test("what is over is forgotten: nobody has it to cancel, and who comes then begins anew", () => {
  const { coalescing, join } = aDesk();
  const [first, second] = [join(), join()];
  first.end();
  const next = join();
  expect(next).toMatchObject({ work: 2, first: true });
  expect([first.leave(), second.leave()]).toEqual([false, false]);
  second.end();
  expect(coalescing.snapshot()).toEqual({ underWay: 1, waiting: 1 });
});
