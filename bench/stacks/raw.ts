import { Client, credentials, Server, ServerCredentials } from "@grpc/grpc-js";
import { GetOrderRequest, Order, OrderEvent, WatchOrdersRequest } from "../../gen/shop/orders/v1/orders.ts";
import { isMessageSize, messagesOf, order } from "../message.ts";
import type { Stack } from "./stack.ts";

const GET = "/shop.orders.v1.OrderService/GetOrder";
const WATCH = "/shop.orders.v1.OrderService/WatchOrders";

const toBuffer = (bytes: Uint8Array) => Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
const encodeOrder = (message: Order) => toBuffer(Order.encode(message).finish());
const decodeOrder = (bytes: Buffer) => Order.decode(bytes);

/** What a handler of a stream is given. */
interface WatchCall {
  readonly request: WatchOrdersRequest;
  write(message: object): boolean;
  once: CallableFunction;
  end(): void;
}

/** grpc-js by itself, with callbacks and without a deadline. */
export const raw: Stack = {
  serve() {
    const server = new Server();
    server.register(
      GET,
      (_call: unknown, callback: (error: null, response: Order) => void) => callback(null, order),
      encodeOrder,
      (bytes: Buffer) => GetOrderRequest.decode(bytes),
      "unary",
    );
    server.register(
      WATCH,
      async (call: WatchCall) => {
        const { customerId } = call.request;
        if (!isMessageSize(customerId)) return call.write({ revision: 1n });
        for (const message of messagesOf(customerId)) {
          if (!call.write(message)) await new Promise((resolve) => call.once("drain", resolve));
        }
        return call.end();
      },
      (event: OrderEvent) => toBuffer(OrderEvent.encode(event).finish()),
      (bytes: Buffer) => WatchOrdersRequest.decode(bytes),
      "serverStream",
    );
    return new Promise((resolve, reject) => {
      server.bindAsync("127.0.0.1:0", ServerCredentials.createInsecure(), (error, port) =>
        error ? reject(error) : resolve(port),
      );
    });
  },
  connect(port) {
    const client = new Client(`127.0.0.1:${port}`, credentials.createInsecure());
    const encodeGet = (message: GetOrderRequest) => toBuffer(GetOrderRequest.encode(message).finish());
    const encodeWatch = (message: WatchOrdersRequest) => toBuffer(WatchOrdersRequest.encode(message).finish());
    const decodeEvent = (bytes: Buffer) => OrderEvent.decode(bytes);
    return {
      unary: () =>
        new Promise((resolve, reject) => {
          client.makeUnaryRequest(GET, encodeGet, decodeOrder, { orderId: "o-000042" }, (error, response) =>
            error ? reject(error) : resolve(response),
          );
        }),
      stream: (size) =>
        new Promise((resolve, reject) => {
          let seen = 0;
          const request = { customerId: size, afterRevision: 0n };
          const call = client.makeServerStreamRequest(WATCH, encodeWatch, decodeEvent, request);
          call.on("data", () => {
            seen += 1;
          });
          call.on("error", reject);
          call.on("end", () => resolve(seen));
        }),
      open: () =>
        new Promise((resolve, reject) => {
          const request = { customerId: "", afterRevision: 0n };
          const call = client.makeServerStreamRequest(WATCH, encodeWatch, decodeEvent, request);
          call.on("data", () => resolve());
          call.on("error", reject);
        }),
    };
  },
};
