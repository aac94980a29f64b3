import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { bearer, createClient, Status } from "bowline";
import { expect, onTestFinished, test } from "vitest";
import { ShopIdentity } from "../../examples/shop/identity.ts";
import { ServiceProcess } from "../../examples/shop/processes.ts";
import { readSettings } from "../../examples/shop/settings.ts";
import { OrderService } from "../../gen/shop/orders/v1/orders.contract.ts";
import { rejection } from "../support/orders.ts";

const order = { customerId: "u-7", items: [{ sku: "cleat", quantity: 2, unitPriceCents: 1_275n }] };

test("the shop's services know each other and their callers by tokens", async () => {
  const dataFolder = mkdtempSync(join(tmpdir(), "bowline-shop-auth-"));
  onTestFinished(() => rmSync(dataFolder, { recursive: true, force: true }));
  const env = { SHOP_DATA: dataFolder, SHOP_AUTH: "1", SHOP_ORDERS_PORT: "0", SHOP_USERS_PORT: "0" };
  const users = await ServiceProcess.start("users", env);
  onTestFinished(async () => void (await users.stop()));
  const orders = await ServiceProcess.start("orders", { ...env, SHOP_USERS_TARGET: users.target });
  onTestFinished(async () => void (await orders.stop()));
  const identity = await ShopIdentity.open({ ...readSettings({}), dataFolder });
  const clientWith = (scopes: readonly string[] | undefined) =>
    createClient(OrderService, orders.target, {
      timeoutMs: 10_000,
      ...(scopes && { credentials: bearer(async () => identity.token("u-7", "orders", scopes)) }),
    });
  using stranger = clientWith(undefined);
  expect(await rejection(stranger.createOrder(order))).toMatchObject({ code: Status.UNAUTHENTICATED });
  using reader = clientWith(["orders.read"]);
  expect(await reader.getOrder({ orderId: "o-42" })).toMatchObject({ orderId: "o-42" });
  expect(await rejection(reader.createOrder(order))).toMatchObject({ code: Status.PERMISSION_DENIED });
  using writer = clientWith(["orders.write"]);
  // For it the orders service asks the users service, in its own name.
  expect(await writer.createOrder(order)).toMatchObject({ customerId: "u-7" });
});
