import { once } from "node:events";
import { type AddressInfo, connect as connectTcp, createServer as createTcpServer, type Socket } from "node:net";
import { Status } from "bowline";
import { expect, onTestFinished, test } from "vitest";
import { connectOrders, rejection, serveOrders } from "../support/orders.ts";

test("a stream over a connection that has gone silent ends, and the next call takes another connection", async () => {
  const { port } = await serveOrders({
    getOrder: async () => ({ orderId: "o-1" }),
    async *watchOrders(_request, context) {
      yield { revision: 1n };
      await new Promise((resolve) => context.signal.addEventListener("abort", resolve));
    },
  });
  const proxy = await silenceable(port);
  const orders = connectOrders(proxy.port, { keepaliveTimeMs: 200, keepaliveTimeoutMs: 200 });
  const stream = orders.watchOrders({});
  await stream.next();
  const begin = performance.now();
  proxy.silence();
  const error = await rejection(stream.next());
  expect(error).toMatchObject({ code: Status.UNAVAILABLE, reason: "TRANSPORT", origin: "local" });
  expect(performance.now() - begin).toBeGreaterThan(190);
  expect(await orders.getOrder({}, { timeoutMs: 10_000, waitForReady: true })).toMatchObject({ orderId: "o-1" });
});

test("a connection that answers stays, however long nothing is said", async () => {
  const { port } = await serveOrders({
    async *watchOrders() {
      yield { revision: 1n };
      await new Promise((resolve) => setTimeout(resolve, 1_000));
      yield { revision: 2n };
    },
  });
  const orders = connectOrders(port, { keepaliveTimeMs: 100, keepaliveTimeoutMs: 100 });
  const revisions = await Array.fromAsync(orders.watchOrders({}), ({ revision }) => revision);
  expect(revisions).toEqual([1n, 2n]);
});

test("a server ends the streams of clients that have gone silent, and of no others", async () => {
  const ended: string[] = [];
  const left = Promise.withResolvers<void>();
  const { port } = await serveOrders(
    {
      async *watchOrders({ customerId }, { signal }) {
        yield { revision: 1n };
        await new Promise((resolve) => signal.addEventListener("abort", resolve));
        ended.push(customerId);
        left.resolve();
      },
    },
    { keepaliveTimeMs: 100, keepaliveTimeoutMs: 200 },
  );
  const proxy = await silenceable(port);
  const [honest, silent] = [connectOrders(port), connectOrders(proxy.port)];
  const [stays, vanishes] = [honest.watchOrders({ customerId: "stays" }), silent.watchOrders({ customerId: "gone" })];
  await Promise.all([stays.next(), vanishes.next()]);
  vanishes.next().catch(() => {});
  proxy.silence();
  await left.promise;
  expect(ended).toEqual(["gone"]);
  await stays.return();
});

/** A TCP proxy whose connections can be made to swallow everything, as one does whose other end lost its power. */
async function silenceable(target: number): Promise<{ port: number; silence(): void }> {
  const sockets: [Socket, Socket][] = [];
  const server = createTcpServer((inbound) => {
    const outbound = connectTcp(target, "127.0.0.1");
    for (const socket of [inbound, outbound]) socket.on("error", () => {});
    inbound.pipe(outbound).pipe(inbound);
    sockets.push([inbound, outbound]);
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  onTestFinished(() => {
    for (const socket of sockets.flat()) socket.destroy();
    server.close();
  });
  const silence = () => {
    for (const [inbound, outbound] of sockets) {
      inbound.unpipe();
      outbound.unpipe();
      inbound.resume();
      outbound.resume();
    }
  };
  return { port: (server.address() as AddressInfo).port, silence };
}
