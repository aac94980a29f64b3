import { readFileSync } from "node:fs";
import { Status } from "bowline";
import { createServer } from "bowline/server";
import { expect, onTestFinished, test } from "vitest";
import { OrderService } from "../../gen/shop/orders/v1/orders.contract.ts";
import { connectOrders, ordersHandlers, rejection } from "../support/orders.ts";

const pem = (name: string) => readFileSync(new URL(`../fixtures/tls/${name}`, import.meta.url));
const server = { cert: pem("server.pem"), key: pem("server.key") };
const client = { cert: pem("client.pem"), key: pem("client.key") };
const stranger = { cert: pem("stranger.pem"), key: pem("stranger.key") };
const ca = pem("ca.pem");

async function serve(tls: { cert: Buffer; key: Buffer; ca?: Buffer }): Promise<number> {
  const secured = createServer({ drainOn: [], idempotency: false, validation: false, authenticate: false });
  secured.add(OrderService, ordersHandlers({ getOrder: async () => ({ orderId: "o-1" }) }));
  onTestFinished(async () => void (await secured.drain({ timeoutMs: 1 })));
  return secured.listen("127.0.0.1:0", { tls });
}

test("speaks TLS with a client that trusts the authority", async () => {
  const orders = connectOrders(await serve(server), { tls: { ca } });
  expect(await orders.getOrder({}, { timeoutMs: 5_000 })).toMatchObject({ orderId: "o-1" });
});

test("takes the name that the certificate must carry", async () => {
  const port = await serve(server);
  const orders = connectOrders(port, { tls: { ca, serverName: "orders.test" } });
  expect(await orders.getOrder({}, { timeoutMs: 5_000 })).toMatchObject({ orderId: "o-1" });
  const wrong = connectOrders(port, { tls: { ca, serverName: "users.test" } });
  expect(await rejection(wrong.getOrder({}, { timeoutMs: 5_000 }))).toMatchObject({ reason: "TRANSPORT" });
});

test.each([
  ["does not know the authority", { tls: true }],
  ["speaks plaintext", {}],
])("refuses a client that %s", async (_what, options) => {
  const error = await rejection(connectOrders(await serve(server), options).getOrder({}, { timeoutMs: 5_000 }));
  expect(error).toMatchObject({ code: Status.UNAVAILABLE, reason: "TRANSPORT", origin: "local" });
});

test("speaks mTLS with a client whose certificate the authority signed, and with no other", async () => {
  const port = await serve({ ...server, ca });
  const known = connectOrders(port, { tls: { ca, ...client } });
  expect(await known.getOrder({}, { timeoutMs: 5_000 })).toMatchObject({ orderId: "o-1" });
  for (const tls of [{ ca }, { ca, ...stranger }]) {
    const error = await rejection(connectOrders(port, { tls }).getOrder({}, { timeoutMs: 5_000 }));
    expect(error).toMatchObject({ code: Status.UNAVAILABLE, reason: "TRANSPORT" });
  }
});
