import { once } from "node:events";
import { createServer as createHttp2Server, constants as http2, type ServerHttp2Stream } from "node:http2";
import { type AddressInfo, connect as connectTcp, createServer as createTcpServer, type Socket } from "node:net";
import { Status } from "bowline";
import { describe, expect, onTestFinished, test } from "vitest";
import { clients } from "../support/attempts.ts";
import { connectOrders, gate, rejection, serveOrders } from "../support/orders.ts";

describe.each(Object.entries(clients))("over %s, a broken connection is no status of the server", (_name, connect) => {
  test("when it breaks in the middle of a stream", async () => {
    const { port } = await serveOrders({
      async *watchOrders(_request, context) {
        yield { revision: 1n };
        await new Promise((resolve) => context.signal.addEventListener("abort", resolve));
      },
    });
    const proxy = await breakable(port);
    const stream = connect(proxy.port).watchOrders({})[Symbol.asyncIterator]();
    await stream.next();
    proxy.cut();
    const error = await rejection(stream.next());
    const broken = { code: Status.UNAVAILABLE, reason: "TRANSPORT", origin: "local", headersReceived: true };
    expect(error).toMatchObject(broken);
  });

  test("when the stream is reset after its headers", async () => {
    const port = await http2Server((stream) => {
      stream.respond({ "content-type": "application/grpc+proto" });
      setImmediate(() => stream.close(http2.NGHTTP2_INTERNAL_ERROR));
    });
    const error = await rejection(connect(port).getOrder({}, { timeoutMs: 5_000 }));
    expect(error).toMatchObject({ code: Status.INTERNAL, reason: "TRANSPORT", origin: "local" });
  });

  test("but a status after the headers is the server's", async () => {
    const port = await http2Server((stream) => {
      stream.respond({ "content-type": "application/grpc+proto" }, { waitForTrailers: true });
      stream.on("wantTrailers", () => stream.sendTrailers({ "grpc-status": "14", "grpc-message": "later" }));
      stream.end();
    });
    const error = await rejection(connect(port).getOrder({}, { timeoutMs: 5_000 }));
    const said = { code: Status.UNAVAILABLE, reason: "STATUS", origin: "wire", details: "later" };
    expect(error).toMatchObject(said);
  });
});

test("a client that gives up on 3,000 calls keeps its connection", async () => {
  const ended = gate();
  const order = { orderId: "o".repeat(16 * 1024) };
  let aborted = 0;
  const { port } = await serveOrders({
    getOrder: async () => ({ orderId: "o-1" }),
    async *watchOrders(_request, context) {
      context.signal.addEventListener("abort", () => {
        aborted += 1;
        if (aborted === 3_000) ended.resolve();
      });
      // Large ones: a handful is as much as may wait to be sent, and the handler is suspended.
      for (;;) yield { revision: 1n, order };
    },
  });
  const orders = clients.createClient?.(port);
  if (!orders) throw new Error("no client");
  const leave = async () => {
    for (let call = 0; call < 300; call += 1) for await (const _ of orders.watchOrders({})) break;
  };
  await Promise.all(Array.from({ length: 10 }, leave));
  await ended.promise;
  expect(await orders.getOrder({}, { timeoutMs: 5_000 })).toMatchObject({ orderId: "o-1" });
});

test("a client that gives up on more calls than a server takes loses its connection", async () => {
  const { port } = await serveOrders(
    {
      async *watchOrders(_request, context) {
        yield { revision: 1n };
        await new Promise((resolve) => context.signal.addEventListener("abort", resolve));
      },
      async *listOrders() {
        for (;;) yield {};
      },
    },
    { maxStreamResetsPerSecond: 1 },
  );
  const orders = connectOrders(port);
  const open = orders.watchOrders({}, { timeoutMs: 10_000 });
  await open.next();
  const broken = rejection(open.next());
  const leave = async () => {
    for await (const _ of orders.listOrders({})) break;
  };
  // The calls that go down with the connection fail too.
  for (let call = 0; call < 100; call += 1) await leave().catch(() => {});
  expect(await broken).toMatchObject({ reason: "TRANSPORT", origin: "local" });
});

/** A TCP proxy that can cut every connection through it. */
async function breakable(target: number): Promise<{ port: number; cut(): void }> {
  const sockets: Socket[] = [];
  const server = createTcpServer((inbound) => {
    const outbound = connectTcp(target, "127.0.0.1");
    for (const socket of [inbound, outbound]) socket.on("error", () => {});
    inbound.pipe(outbound).pipe(inbound);
    sockets.push(inbound, outbound);
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const cut = () => {
    for (const socket of sockets) socket.destroy();
  };
  onTestFinished(() => {
    cut();
    server.close();
  });
  return { port: (server.address() as AddressInfo).port, cut };
}

async function http2Server(answer: (stream: ServerHttp2Stream) => void): Promise<number> {
  const server = createHttp2Server();
  server.on("stream", (stream) => {
    stream.on("error", () => {});
    answer(stream);
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  onTestFinished(() => void server.close());
  return (server.address() as AddressInfo).port;
}
