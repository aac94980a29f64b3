import { Status } from "bowline";
import { expect, test } from "vitest";
import { ImportOrdersRequest } from "../../gen/shop/orders/v1/orders.ts";
import { call, framed, session, UPLOAD } from "../support/attacking.ts";
import { serveOrders } from "../support/orders.ts";

const whole = framed(
  ImportOrdersRequest.encode(ImportOrdersRequest.fromPartial({ order: { customerId: "c-1" } })).finish(),
);

test("an upload that ends in the middle of a message does not look complete to its handler", async () => {
  const seen: string[] = [];
  const { port } = await serveOrders({
    async importOrders(requests, { signal }) {
      try {
        for await (const _ of requests) seen.push("message");
        seen.push("complete");
      } finally {
        seen.push(signal.aborted ? "aborted" : "not aborted");
      }
      return {};
    },
  });
  const connection = session(port);
  for (let cut = 1; cut < whole.byteLength; cut += 1) {
    const body = Buffer.concat([whole, whole.subarray(0, cut)]);
    expect(await call(connection, UPLOAD, body)).toEqual({ http: 200, grpc: Status.INTERNAL, reset: 0 });
    expect(seen.splice(0)).toEqual(["message", "aborted"]);
  }
  expect(await call(connection, UPLOAD, Buffer.concat([whole, whole]))).toMatchObject({ grpc: Status.OK });
  expect(seen).toEqual(["message", "message", "complete", "not aborted"]);
});
