import { setImmediate as turn } from "node:timers/promises";
import { expect, test } from "vitest";
import { serveOrders } from "../support/orders.ts";
import { streamWays } from "../support/resuming-orders.ts";

const LAST = 1_500n;
const [[, connect] = expect.unreachable("there is a way")] = streamWays;

/** Every third is a heartbeat that carries a position. */
const isHeartbeat = (revision: bigint) => revision % 3n === 0n;

/** Whether there is an event after the last one that was handled, up to a position. */
function isAhead(position: bigint, handled: bigint): boolean {
  return position > handled + 1n || (position > handled && !isHeartbeat(position));
}

/** The positions that a timer finds while a loop handles events, and those of them that are ahead of it. */
async function lookWhile(pauses: boolean) {
  const { port } = await serveOrders({
    async *watchOrders({ afterRevision }) {
      for (let revision = afterRevision + 1n; revision <= LAST; revision += 1n) {
        yield { revision, heartbeat: isHeartbeat(revision) };
        if (revision % 16n === 0n) await turn();
      }
    },
  });
  const events = connect(`127.0.0.1:${port}`, { fromStart: true, heartbeat: {} }).orders.watchOrders({});
  let handled = 0n;
  const [found, ahead] = [new Set<bigint>(), new Set<bigint>()];
  const look = () => {
    const { cursor = 0n } = events;
    found.add(cursor);
    if (isAhead(cursor, handled)) ahead.add(cursor);
    timer = setImmediate(look);
  };
  let timer = setImmediate(look);
  for await (const { revision } of events) {
    if (pauses) await turn();
    handled = revision;
  }
  clearImmediate(timer);
  return { found: [...found], ahead: [...ahead] };
}

test("a timer finds no position ahead of a loop that handles events without a pause, and those of heartbeats", async () => {
  const { found, ahead } = await lookWhile(false);
  expect(ahead).toEqual([]);
  expect(found.length).toBeGreaterThan(10);
  expect(found.some((position) => position > 0n && isHeartbeat(position))).toBe(true);
});

test("it does find some ahead of a loop that pauses before an event is handled", async () => {
  const { ahead } = await lookWhile(true);
  expect(ahead.length).toBeGreaterThan(10);
});
