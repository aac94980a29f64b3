import { fail, type ObserverEvent, RpcError, Status } from "bowline";
import { describe, expect, test, vi } from "vitest";
import type { OrderServiceClient } from "../../gen/shop/orders/v1/orders.contract.ts";
import type { CallContext } from "../../src/core/call-context.ts";
import { MOST_METADATA_BYTES } from "../../src/core/metadata-size.ts";
import { connectOrders, rejection, serveOrders, serveOrdersOnNice } from "../support/orders.ts";

const servers = [
  ["createServer", serveOrders],
  ["serverMiddleware", serveOrdersOnNice],
] as const;

const kinds: [string, (orders: OrderServiceClient) => Promise<unknown>][] = [
  ["unary", (orders) => orders.getOrder({}, { timeoutMs: 5_000 })],
  ["stream", (orders) => Array.fromAsync(orders.listOrders({}, { timeoutMs: 5_000 }))],
];

const HALF = "y".repeat(MOST_METADATA_BYTES / 2);
/** Huffman coding makes nothing of it shorter: clients on Node take no field of its length. */
const TOO_MUCH = "~".repeat(100_000);

const ways: [string, (context: CallContext) => void][] = [
  ["the header", ({ header }) => header.set("x-much", TOO_MUCH)],
  ["the header, in bytes", ({ header }) => header.set("x-much-bin", new Uint8Array(100_000))],
  [
    "the header, in many keys",
    ({ header }) => {
      for (let n = 0; n < 100; n++) header.set(`x-${n}`, "~".repeat(2_000));
    },
  ],
  [
    "the header, and sends it at once",
    (context) => {
      context.header.set("x-much", TOO_MUCH);
      context.sendHeader();
    },
  ],
  ["the trailer", ({ trailer }) => trailer.set("x-much", TOO_MUCH)],
  [
    "the trailer of a refusal",
    ({ trailer }) => {
      trailer.set("x-much", TOO_MUCH);
      fail("NOT_FOUND", "no such order");
    },
  ],
  ["fail's trailer", () => fail("NOT_FOUND", "no such order", { trailer: { "x-much": TOO_MUCH } })],
  [
    "the trailer and fail's, each of which is not too much",
    ({ trailer }) => {
      trailer.set("x-one", HALF);
      fail("NOT_FOUND", "no such order", { trailer: { "x-other": HALF } });
    },
  ],
  [
    "an error that goes round fail",
    () => {
      throw new RpcError({ path: "", reason: "REFUSED", details: "no", sendTrailer: { "x-much": TOO_MUCH } });
    },
  ],
];

describe.each(servers)("over %s", (_server, serve) => {
  /** A server whose handlers all begin with the same step, and one that is under way meanwhile. */
  async function spoiled(spoil: (context: CallContext) => void) {
    const onError = vi.fn<(error: unknown, context: CallContext) => void>();
    const events: ObserverEvent[] = [];
    const bystander = Promise.withResolvers<void>();
    const { port } = await serve(
      {
        async getOrder(_request, context) {
          spoil(context);
          return { orderId: "o-1" };
        },
        async *listOrders(_request, context) {
          spoil(context);
          yield { orderId: "o-1" };
        },
        async createOrder() {
          await bystander.promise;
          return { orderId: "o-2" };
        },
      },
      { onError, observer: (event) => events.push(event) },
    );
    const orders = connectOrders(port);
    const beginOther = () => orders.createOrder({}, { timeoutMs: 5_000 });
    return { orders, onError, events, beginOther, letBystanderEnd: bystander.resolve };
  }

  describe.each(kinds)("a %s handler", (_kind, call) => {
    test.each(ways)("that writes too much into %s fails alone", async (_where, spoil) => {
      const { orders, onError, events, beginOther, letBystanderEnd } = await spoiled(spoil);
      const other = beginOther();
      expect(await rejection(call(orders))).toMatchObject({ code: Status.INTERNAL, details: "internal error" });
      letBystanderEnd();
      expect(await other).toMatchObject({ orderId: "o-2" });
      expect(onError).toHaveBeenCalledOnce();
      const [error, context] = onError.mock.calls[0] ?? [];
      expect(error).toBeInstanceOf(TypeError);
      expect(String(error)).toMatch(/cannot be sent: \d+ bytes of it, .* are more than the 57344 that can be$/);
      const path = context?.method.path;
      const ended = events.filter(({ type, method }) => type === "served.ended" && method === path);
      expect(ended).toMatchObject([{ status: "INTERNAL", reason: "UNEXPECTED" }]);
    });
  });

  test("what a trailer has under the same key as fail's is not sent, and not counted", async () => {
    const { orders, onError } = await spoiled(({ trailer }) => {
      trailer.set("x-copied", `${HALF}1`);
      trailer.set("x-written", "2");
      fail("NOT_FOUND", "no such order", { trailer: { "X-Copied": `${HALF}3` } });
    });
    const error = (await rejection(orders.getOrder({}, { timeoutMs: 5_000 }))) as RpcError;
    expect(error).toMatchObject({ code: Status.NOT_FOUND, details: "no such order" });
    expect(["x-copied", "x-written"].map((key) => error.trailer?.getAll(key))).toEqual([[`${HALF}3`], ["2"]]);
    expect(onError).not.toHaveBeenCalled();
  });

  test("as much as can be sent arrives, of the header and of the trailer beside a long text", async () => {
    const most = (key: string) => "~".repeat(MOST_METADATA_BYTES - 32 - key.length);
    const { orders } = await spoiled(({ header, trailer }) => {
      header.set("x-header", most("x-header"));
      trailer.set("x-trailer", most("x-trailer"));
    });
    const got = { header: 0, trailer: 0 };
    await orders.getOrder(
      {},
      {
        onHeader(header) {
          got.header = String(header.get("x-header")).length;
        },
        onTrailer(trailer) {
          got.trailer = String(trailer.get("x-trailer")).length;
        },
      },
    );
    expect(got).toEqual({ header: most("x-header").length, trailer: most("x-trailer").length });

    const refusing = await spoiled(({ trailer }) => {
      trailer.set("x-trailer", most("x-trailer"));
      fail("NOT_FOUND", "no such order: ".repeat(1_000));
    });
    const error = (await rejection(refusing.orders.getOrder({}))) as RpcError;
    expect(error).toMatchObject({
      code: Status.NOT_FOUND,
      details: expect.stringMatching(/^no such order: .*\.\.\.$/),
    });
    expect(String(error.trailer?.get("x-trailer"))).toHaveLength(most("x-trailer").length);
  });
});
