import { createServer as createTcpServer } from "node:net";
import { expect, onTestFinished, test, vi } from "vitest";
import { connectOrders, serveOrders } from "../support/orders.ts";

test("what stays on this machine goes through no proxy, whatever the environment says", async () => {
  const proxied: string[] = [];
  const proxy = createTcpServer((socket) => {
    proxied.push("connection");
    socket.destroy();
  });
  await new Promise<void>((resolve) => proxy.listen(0, "127.0.0.1", resolve));
  onTestFinished(() => void proxy.close());
  const { port: proxyPort } = proxy.address() as { port: number };
  vi.stubEnv("grpc_proxy", `http://127.0.0.1:${proxyPort}`);
  onTestFinished(() => void vi.unstubAllEnvs());

  const { port } = await serveOrders({ getOrder: async () => ({ orderId: "o-1" }) });
  const order = await connectOrders(port).getOrder({ orderId: "o-1" }, { timeoutMs: 2_000 });
  expect(order.orderId).toBe("o-1");
  expect(proxied).toEqual([]);
});
