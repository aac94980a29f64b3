import { once } from "node:events";
import { constants, createServer, type ServerHttp2Stream } from "node:http2";
import type { AddressInfo } from "node:net";
import { expect, onTestFinished, test } from "vitest";
import type { OrderServiceClient } from "../../gen/shop/orders/v1/orders.contract.ts";
import { Order } from "../../gen/shop/orders/v1/orders.ts";
import { connectOrders } from "../support/orders.ts";

const calls: [string, (orders: OrderServiceClient) => Promise<unknown>][] = [
  ["unary", (orders) => orders.getOrder({ orderId: "o-1" })],
  ["server-stream", async (orders) => (await Array.fromAsync(orders.listOrders({})))[0]],
];

test.each(calls)("R6 a %s call that the server refused unseen is sent again, as the same attempt", async (_, call) => {
  const { port, streams } = await refuseFirst();
  const attempts: string[] = [];
  const orders = connectOrders(port, {
    observer: ({ type }) => {
      if (type === "attempt.started") attempts.push(type);
    },
  });
  expect(await call(orders)).toMatchObject({ orderId: "o-1" });
  expect(streams).toHaveLength(2);
  expect(attempts).toHaveLength(1);
});

/** A server that refuses the first stream, as one does that has just sent its GOAWAY, and answers the others. */
async function refuseFirst() {
  const streams: ServerHttp2Stream[] = [];
  const server = createServer();
  server.on("stream", (stream) => {
    // Node raises what it was told to refuse with.
    stream.on("error", () => {});
    if (streams.push(stream) === 1) stream.close(constants.NGHTTP2_REFUSED_STREAM);
    else answer(stream);
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  onTestFinished(() => void server.close());
  return { port: (server.address() as AddressInfo).port, streams };
}

function answer(stream: ServerHttp2Stream): void {
  const message = Order.encode(Order.fromPartial({ orderId: "o-1" })).finish();
  const prefix = Buffer.alloc(5);
  prefix.writeUInt32BE(message.byteLength, 1);
  stream.respond({ "content-type": "application/grpc+proto" }, { waitForTrailers: true });
  stream.on("wantTrailers", () => stream.sendTrailers({ "grpc-status": "0" }));
  stream.end(Buffer.concat([prefix, message]));
}
