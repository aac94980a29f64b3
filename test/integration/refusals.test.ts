import { fail } from "bowline";
import { describe, expect, test, vi } from "vitest";
import { connectOrders, serveOrders } from "../support/orders.ts";

describe("a refusal that cannot be sent as it is", () => {
  test("with a trailer that is no metadata: INTERNAL, and the operator is told", async () => {
    const onError = vi.fn();
    const getOrder = async () => fail("NOT_FOUND", "no such order", { trailer: { "no key": "v" } });
    const { port } = await serveOrders({ getOrder }, { onError });
    await expect(connectOrders(port).getOrder({})).rejects.toMatchObject({ code: 13, details: "internal error" });
    expect(onError).toHaveBeenCalledExactlyOnceWith(
      new TypeError('fail: the trailer "no key" cannot be sent: a key has digits, letters, "_", "-" and "." alone'),
      expect.anything(),
    );
  });

  test("with half a character in its text: the rest of it is told", async () => {
    const refuse = () => fail("NOT_FOUND", "no order \ud83d");
    const { port } = await serveOrders({ getOrder: async () => refuse(), listOrders: () => refuse() });
    const orders = connectOrders(port);
    await expect(orders.getOrder({})).rejects.toMatchObject({ code: 5, details: "no order \ufffd" });
    await expect(orders.listOrders({}).next()).rejects.toMatchObject({ code: 5, details: "no order \ufffd" });
  });
});
