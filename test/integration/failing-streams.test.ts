import { setTimeout as wait } from "node:timers/promises";
import { collect, take } from "bowline/stream";
import { expect, test } from "vitest";
import { serveOrders } from "../support/orders.ts";
import { streamWays } from "../support/resuming-orders.ts";

test.each(streamWays)("streams that their handler fails again and again keep no other from it: %s", async (_, way) => {
  let refused = 0;
  const { port } = await serveOrders(
    {
      async *watchOrders({ customerId }) {
        if (customerId === "c-bad") {
          refused += 1;
          throw new Error("a bug that this request alone meets");
        }
        yield { revision: 1n };
      },
    },
    { onError: () => {} },
  );
  const { orders, breaker } = way(`127.0.0.1:${port}`, { fromStart: true, breaker: {} });
  const leave = new AbortController();
  const bad = Array.from({ length: 3 }, () =>
    collect(orders.watchOrders({ customerId: "c-bad" }, { signal: leave.signal }), 1).catch(() => {}),
  );
  while (refused < 60) await wait(1);
  for (let good = 0; good < 20; good += 1) {
    expect(await collect(take(orders.watchOrders({ customerId: "c-1" }), 1), 1)).toHaveLength(1);
  }
  expect(breaker()).toMatchObject({ state: "closed" });
  leave.abort();
  await Promise.all(bad);
});
