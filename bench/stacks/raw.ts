import { Client, credentials, Server, ServerCredentials } from "@grpc/grpc-js";
import { GetOrderRequest, ListOrdersRequest, Order } from "../../gen/shop/orders/v1/orders.ts";
import { order } from "../message.ts";
import type { Stack } from "./stack.ts";

const GET = "/shop.orders.v1.OrderService/GetOrder";
const LIST = "/shop.orders.v1.OrderService/ListOrders";

const toBuffer = (bytes: Uint8Array) => Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
const encodeOrder = (message: Order) => toBuffer(Order.encode(message).finish());
const decodeOrder = (bytes: Buffer) => Order.decode(bytes);

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
      LIST,
      async (call: {
        request: ListOrdersRequest;
        write(message: Order): boolean;
        once: CallableFunction;
        end(): void;
      }) => {
        for (let sent = 0; sent < call.request.limit; sent += 1) {
          if (!call.write(order)) await new Promise((resolve) => call.once("drain", resolve));
        }
        call.end();
      },
      encodeOrder,
      (bytes: Buffer) => ListOrdersRequest.decode(bytes),
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
    const encodeList = (message: ListOrdersRequest) => toBuffer(ListOrdersRequest.encode(message).finish());
    return {
      unary: () =>
        new Promise((resolve, reject) => {
          client.makeUnaryRequest(GET, encodeGet, decodeOrder, { orderId: "o-000042" }, (error, response) =>
            error ? reject(error) : resolve(response),
          );
        }),
      stream: (limit) =>
        new Promise((resolve, reject) => {
          let seen = 0;
          const request = { customerId: "", limit };
          const call = client.makeServerStreamRequest(LIST, encodeList, decodeOrder, request);
          call.on("data", () => {
            seen += 1;
          });
          call.on("error", reject);
          call.on("end", () => resolve(seen));
        }),
    };
  },
};
