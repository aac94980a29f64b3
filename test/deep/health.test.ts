import { mkdtemp, rm } from "node:fs/promises";
import { connect, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createServer } from "bowline/server";
import { expect, onTestFinished, test } from "vitest";
import { ServiceProcess } from "../../examples/shop/processes.ts";
import { probe } from "../support/admin-port.ts";

/** An admin port until the test is over. */
async function adminPort(): Promise<number> {
  const server = createServer({ drainOn: [] });
  onTestFinished(async () => void (await server.drain({ timeoutMs: 1 })));
  return server.listenAdmin("127.0.0.1:0");
}

test.each([
  ["say nothing", "", ""],
  ["send a header for ever", "GET /livez HTTP/1.1\r\nhost: a\r\nx: y", "y"],
  ["send a body for ever", "GET /livez HTTP/1.1\r\nhost: a\r\ncontent-length: 1000000\r\n\r\nx", "x"],
])("300 connections that %s are closed, and the port answers", async (_, sent, drip) => {
  const port = await adminPort();
  const open = new Set<Socket>();
  const closed = Array.from({ length: 300 }, async () => {
    const socket = connect(port, "127.0.0.1").on("error", () => {});
    open.add(socket);
    socket.write(sent);
    const dripping = setInterval(() => socket.writable && socket.write(drip), 500);
    await new Promise((resolve) => socket.resume().once("close", resolve));
    clearInterval(dripping);
    open.delete(socket);
  });
  onTestFinished(() => {
    for (const socket of open) socket.destroy();
  });
  await Promise.all(closed);
  expect(await probe(port, "/livez")).toMatchObject({ code: 200, text: "ok" });
});

test("the shop's services say what they depend on", async () => {
  const data = await mkdtemp(join(tmpdir(), "bowline-shop-"));
  const env = { SHOP_DATA: data, SHOP_USERS_PORT: "0", SHOP_ORDERS_PORT: "0" };
  const users = await ServiceProcess.start("users", env);
  const orders = await ServiceProcess.start("orders", { ...env, SHOP_USERS_TARGET: users.target });
  onTestFinished(async () => {
    await Promise.all([users.kill(), orders.kill()]);
    await rm(data, { recursive: true, force: true });
  });
  const ask = (path: string) => probe(Number(orders.admin.split(":")[1]), path);
  const failing = ({ text }: { text: string }) => [...text.matchAll(/^\[-\](\S+)/gm)].map(([, name]) => name);
  expect(await ask("/startupz")).toMatchObject({ code: 200 });
  expect(await ask("/readyz?depth=business")).toMatchObject({ code: 200, text: "ok" });
  await users.kill();
  await expect
    .poll(async () => failing(await ask("/readyz?depth=business")), { timeout: 30_000 })
    .toEqual(["customer"]);
  expect([await ask("/readyz"), await ask("/livez")]).toMatchObject([{ code: 200 }, { code: 200 }]);
});
