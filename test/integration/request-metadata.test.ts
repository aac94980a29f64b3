import { bearer, Status } from "bowline";
import { describe, expect, test } from "vitest";
import type { OrderServiceClient } from "../../gen/shop/orders/v1/orders.contract.ts";
import { FIELD_OVERHEAD, MOST_METADATA_BYTES } from "../../src/core/metadata-size.ts";
import { clients } from "../support/attempts.ts";
import { connectOrders, gate, rejection, serveOrders } from "../support/orders.ts";

const SECRET = "hunter2";

/** Metadata of so many bytes, as HTTP/2 counts them: in one value, or in many that are small. */
const inOne = (bytes: number) => ({ much: SECRET.padEnd(bytes - "much".length - FIELD_OVERHEAD, "x") });
const inMany = (bytes: number) => {
  const small = Array.from({ length: 80 }, (_, index) => [`key-${index + 10}`, SECRET]);
  const rest = bytes - 80 * ("key-10".length + SECRET.length + FIELD_OVERHEAD);
  return Object.fromEntries([...small, ...Object.entries(inOne(rest))]);
};

const kinds: [string, (orders: OrderServiceClient, metadata: Record<string, string>) => Promise<unknown>][] = [
  ["unary", (orders, metadata) => orders.getOrder({}, { metadata, retry: false })],
  ["stream", (orders, metadata) => Array.fromAsync(orders.listOrders({}, { metadata, retry: false }))],
  ["client-stream", (orders, metadata) => orders.importOrders((async function* () {})(), { metadata })],
];

/** A server that counts its calls, and a call of another client's over the same connection, which ends when it is told to. */
async function served(connect: (port: number) => OrderServiceClient) {
  const end = gate();
  const began = gate();
  let calls = 0;
  const count = async () => {
    calls += 1;
    return {};
  };
  const { port } = await serveOrders(
    {
      getOrder: count,
      listOrders: async function* () {
        yield await count();
      },
      importOrders: count,
      async createOrder() {
        began.resolve();
        await end.promise;
        return { orderId: "o-1" };
      },
    },
    { maxMetadataBytes: 1024 * 1024 },
  );
  const orders = connect(port);
  const bystander = connect(port).createOrder({});
  await began.promise;
  const finish = async () => {
    end.resolve();
    expect(await bystander).toMatchObject({ orderId: "o-1" });
  };
  return { orders, finish, calls: () => calls };
}

describe.each(Object.entries(clients))("metadata that goes with a request over %s", (_way, connect) => {
  describe.each(kinds)("of a %s call", (_kind, call) => {
    test.each([
      ["in one value", inOne],
      ["in many", inMany],
    ])("is sent as far as it goes %s, and refused before anything is sent beyond", async (_where, metadata) => {
      const { orders, finish, calls } = await served(connect);
      // Of what the toolkit sends by itself there are a few bytes more.
      await call(orders, metadata(MOST_METADATA_BYTES - 200));
      expect(calls()).toBe(1);
      for (const bytes of [MOST_METADATA_BYTES + 1, 100_000, 1_000_000]) {
        const error = await rejection(call(orders, metadata(bytes)));
        expect(error).toMatchObject({ code: Status.INTERNAL, reason: "REQUEST_NOT_ENCODABLE", attempts: 0 });
        expect(error).toMatchObject({
          details: expect.stringMatching(
            /^the request cannot be encoded: the metadata cannot be sent: \d+ bytes of it, .* more than the 57344 /,
          ),
        });
        expect(String((error as Error).stack)).not.toContain(SECRET);
      }
      expect(calls()).toBe(1);
      await finish();
    });
  });

  describe.each(kinds)("of a %s call", (_kind, call) => {
    test("is as much as maxMetadataBytes says, which may be less and more than by default", async () => {
      const { orders, finish, calls } = await served((port) => connect(port, { maxMetadataBytes: 1_000 }));
      await call(orders, inOne(800));
      expect(await rejection(call(orders, inOne(1_001)))).toMatchObject({
        reason: "REQUEST_NOT_ENCODABLE",
        details: expect.stringMatching(/ are more than the 1000 that can be \(maxMetadataBytes\)$/),
      });
      expect(calls()).toBe(1);
      await finish();
      const more = await served((port) => connect(port, { maxMetadataBytes: Number.POSITIVE_INFINITY }));
      await call(more.orders, inMany(MOST_METADATA_BYTES + 2_000));
      expect(more.calls()).toBe(1);
      await more.finish();
    });
  });

  test("is what the server's limit allows, and the connection goes on beyond", async () => {
    const { port } = await serveOrders({ getOrder: async ({ orderId }) => ({ orderId }) });
    const orders = connect(port);
    const error = await rejection(orders.getOrder({}, { metadata: inOne(MOST_METADATA_BYTES - 200) }));
    expect(error).toMatchObject({ code: Status.RESOURCE_EXHAUSTED });
    expect(await orders.getOrder({ orderId: "o-2" })).toMatchObject({ orderId: "o-2" });
  });
});

test("a token counts with the metadata of its request", async () => {
  const { port } = await serveOrders({ getOrder: async () => ({}) }, { maxMetadataBytes: 1024 * 1024 });
  const orders = connectOrders(port, { credentials: bearer(() => SECRET.repeat(5_000)) });
  await orders.getOrder({}, { metadata: inOne(10_000) });
  const error = await rejection(orders.getOrder({}, { metadata: inOne(MOST_METADATA_BYTES - 30_000) }));
  expect(error).toMatchObject({ reason: "REQUEST_NOT_ENCODABLE", attempts: 0 });
  expect(String((error as Error).stack)).not.toContain(SECRET);
});
