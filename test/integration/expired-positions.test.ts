import { fail } from "bowline";
import { describe, expect, test } from "vitest";
import type { OrderServiceClient, OrderServiceHandlers } from "../../gen/shop/orders/v1/orders.contract.ts";
import { serveOrders } from "../support/orders.ts";
import { PatientOrders } from "../support/patient-orders.ts";
import { streamWays } from "../support/resuming-orders.ts";
import { drained } from "../support/through-proxy.ts";

type Answer = NonNullable<NonNullable<Parameters<OrderServiceClient["watchOrders"]>[1]>["onExpired"]>;

/** A log that has forgotten 1 to 80; without a position it begins at what it has, and ends at 83. */
async function serveForgetful() {
  const asked: [string, bigint][] = [];
  const watchOrders: OrderServiceHandlers["watchOrders"] = async function* ({ customerId, afterRevision }) {
    asked.push([customerId, afterRevision]);
    if (afterRevision > 0n && afterRevision < 80n) fail("OUT_OF_RANGE", "compacted");
    for (let revision = (afterRevision || 80n) + 1n; revision <= 83n; revision += 1n) yield { revision };
  };
  const { port } = await serveOrders({ watchOrders }, {}, PatientOrders);
  return { asked, target: `127.0.0.1:${port}` };
}

describe.each(streamWays)("over %s, a position that is gone", (_, connect) => {
  /** What a stream after 5 gives when it is answered so, and what the server was asked for. */
  async function answered(onExpired: (position: unknown) => unknown, fromStart: boolean) {
    const { asked, target } = await serveForgetful();
    const { orders } = connect(target, { fromStart });
    const request = { customerId: "c-1", afterRevision: 5n };
    const { messages, error } = await drained(orders.watchOrders(request, { onExpired: onExpired as Answer }));
    return { asked: asked.slice(1), read: messages.map(({ revision }) => revision), error };
  }

  test.each<[string, boolean, (position: unknown) => unknown, [string, bigint], bigint[]]>([
    ["another position", false, async () => ({ afterRevision: 82n }), ["", 82n], [83n]],
    ["one beside the rest", false, () => ({ customerId: "c-1", afterRevision: 82n }), ["c-1", 82n], [83n]],
    ["0, for the start", true, () => ({ customerId: "c-1", afterRevision: 0n }), ["c-1", 0n], [81n, 82n, 83n]],
    ["0 alone, for the start", true, async () => ({ afterRevision: 0n }), ["", 0n], [81n, 82n, 83n]],
  ])("is answered by %s (from_start: %s)", async (_, fromStart, onExpired, request, read) => {
    expect(await answered(onExpired, fromStart)).toEqual({ asked: [request], read, error: undefined });
  });

  test.each<[string, boolean, unknown, RegExp]>([
    ["a misspelt one", false, { afterRevison: 82n }, /no field afterRevison; there are customerId, .* no position/],
    ["a misspelt one", true, { customerId: "c-1", afterRevison: 82n }, /the request has no field afterRevison; there/],
    ["none", false, { customerId: "c-1" }, /afterRevision says no position: .* what came before be lost/],
    ["0, which is none", false, { afterRevision: 0n }, /afterRevision says no position/],
    ["none", true, { customerId: "c-1" }, /afterRevision is missing: say where to go on, 0 or empty for the start/],
    ["nothing", true, {}, /afterRevision is missing/],
    ["an undefined one", true, { afterRevision: undefined }, /afterRevision is missing/],
    ["no request", true, 82n, /it must be a request, or undefined to end the call; it is 82/],
  ])(
    "is an error, and nothing is opened, where the answer is %s (from_start: %s)",
    async (_, fromStart, answer, text) => {
      const { asked, read, error } = await answered(async () => answer, fromStart);
      expect([asked, read]).toEqual([[], []]);
      expect(error).toBeInstanceOf(TypeError);
      expect(String(error)).toMatch(text);
      expect(String(error)).toContain("/shop.orders.v1.OrderService/WatchOrders: onExpired's answer is refused: ");
    },
  );
});
