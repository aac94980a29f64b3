import { Status, type StatusName } from "bowline";
import { type FaultRule, faultProxy } from "bowline/testing";
import { expect, onTestFinished, test } from "vitest";
import { serveOrders } from "../support/orders.ts";
import { streamWays, upTo } from "../support/resuming-orders.ts";
import { drained } from "../support/through-proxy.ts";

const [[, connect] = expect.unreachable("there is a way")] = streamWays;

/** What ends a stream in the middle, and what the stream then ends with. */
const ENDS: readonly (readonly [string, FaultRule, StatusName])[] = [
  ["a connection that broke", { on: "call", first: 1, fault: "cut", afterMessages: 5 }, "UNAVAILABLE"],
  ["a stream that was reset", { on: "call", first: 1, fault: "reset", afterMessages: 5 }, "INTERNAL"],
  ["a stall", { on: "call", first: 1, fault: "silent", afterMessages: 5 }, "UNAVAILABLE"],
];

test.each(ENDS)("%s is reopened if codes have what it comes as, and not otherwise", async (_, fault, code) => {
  const { port } = await serveOrders({
    async *watchOrders({ afterRevision }) {
      for (let revision = afterRevision + 1n; revision <= 20n; revision += 1n) yield { revision };
    },
  });
  const proxy = await faultProxy(`127.0.0.1:${port}`, { seed: 1 }).script(fault);
  onTestFinished(() => proxy.close());
  const watch = async (codes: StatusName[]) => {
    const { orders } = connect(proxy.target, { codes, fromStart: true, heartbeat: { intervalMs: 50 } });
    const { messages, error } = await drained(orders.watchOrders({}));
    return { revisions: messages.map(({ revision }) => revision), error };
  };
  const failed = await watch(["ABORTED"]);
  expect(failed.error).toMatchObject({ code: Status[code] });
  expect(failed.revisions.length).toBeLessThan(20);
  await proxy.script(fault);
  expect(await watch(["ABORTED", code])).toEqual({ revisions: upTo(20n), error: undefined });
  expect((await proxy.seen()).calls.filter((call) => call.fault)).toHaveLength(2);
});
