import { setImmediate } from "node:timers/promises";
import { collect, map, merge, take, timeoutBetween } from "bowline/stream";
import { describe, expect, test } from "vitest";
import { operators } from "../support/operators.ts";
import { connectOrders, gate, serveOrders } from "../support/orders.ts";

/** Serves a stream of revisions that says when its handler began and when it was left, and whether it ends by itself. */
async function serveRevisions(count = Number.POSITIVE_INFINITY) {
  const [begun, left] = [gate(), gate()];
  const { port } = await serveOrders({
    async *watchOrders(_, { signal }) {
      signal.addEventListener("abort", () => left.resolve(), { once: true });
      begun.resolve();
      for (let revision = 0; revision < count; revision += 1) {
        yield { revision: BigInt(revision) };
        await setImmediate();
      }
      await left.promise;
    },
  });
  const orders = connectOrders(port);
  const revisions = () => map(orders.watchOrders({}), ({ revision }) => Number(revision));
  return { revisions, begun: begun.promise, left: left.promise };
}

describe.each(operators)("$name around a call", (operator) => {
  test("leaving it ends the call on the wire", async () => {
    const { revisions, left } = await serveRevisions();
    for await (const _ of operator.make(revisions(), {})) break;
    await left;
  });

  test("leaving it while it waits ends the call on the wire, and what waits is done", async () => {
    const { revisions, begun, left } = await serveRevisions(0);
    const stream = operator.make(revisions(), {});
    const reads = [stream.next(), stream.next()];
    await begun;
    await stream.return();
    expect((await Promise.all(reads)).map(({ done }) => done)).toEqual([true, true]);
    await left;
  });

  test("its signal ends the call on the wire", async () => {
    const { revisions, begun, left } = await serveRevisions(0);
    const controller = new AbortController();
    const read = operator.make(revisions(), { signal: controller.signal }).next();
    await begun;
    controller.abort("enough");
    await expect(read).rejects.toBe("enough");
    await left;
  });
});

test("a stream that falls silent times out, and its call ends on the wire", async () => {
  const { revisions, left } = await serveRevisions(2);
  const stream = timeoutBetween(revisions(), 200);
  expect([(await stream.next()).value, (await stream.next()).value]).toEqual([0, 1]);
  await expect(stream.next()).rejects.toMatchObject({ reason: "STALLED" });
  await left;
});

test("one merged stream that fails ends the others' calls on the wire", async () => {
  const [endless, failing] = [await serveRevisions(), await serveRevisions()];
  const broken = map(failing.revisions(), (revision) => {
    if (revision === 3) throw new Error("the third");
    return revision;
  });
  await expect(collect(take(merge([endless.revisions(), broken]), 1_000), 1_000)).rejects.toThrow("the third");
  await Promise.all([endless.left, failing.left]);
});
