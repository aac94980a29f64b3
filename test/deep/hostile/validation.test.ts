import { Status } from "bowline";
import { createServer, type Validation } from "bowline/server";
import { protovalidate } from "bowline/validate";
import { expect, onTestFinished, test } from "vitest";
import { OrderService } from "../../../gen/shop/orders/v1/orders.contract.ts";
import { call, framed, session } from "../../support/attacking.ts";
import { ordersHandlers } from "../../support/handlers.ts";

const MIB = 1024 * 1024;

/** Two million empty items, where a hundred may be, each of which breaks two rules. */
const request = framed(new Uint8Array(4_000_000).map((_, n) => (n % 2 === 0 ? 0x12 : 0)));

/** Has a server answer the request, and says what that took. */
async function cost(validation: Validation | false, code: number) {
  const createOrder = async () => ({});
  const server = createServer({ drainOn: [], idempotency: false, authenticate: false, validation });
  server.add(OrderService, ordersHandlers({ createOrder }));
  onTestFinished(async () => void (await server.drain({ timeoutMs: 0 })));
  const connection = session(await server.listen("127.0.0.1:0"));
  const before = process.cpuUsage();
  const seen = await call(connection, "/shop.orders.v1.OrderService/CreateOrder", request);
  const { user, system } = process.cpuUsage(before);
  expect(seen.grpc).toBe(code);
  return { cpu: user + system, peakBytes: process.resourceUsage().maxRSS * 1024 };
}

test("a request of two million violations costs little more than one that is served unchecked", async () => {
  await cost(false, Status.OK);
  const unchecked = await cost(false, Status.OK);
  const checked = await cost(protovalidate(), Status.INVALID_ARGUMENT);
  // Each violation looked for, it took a hundred times as much, and two gigabytes.
  expect(checked.cpu / unchecked.cpu).toBeLessThan(12);
  expect(checked.peakBytes - unchecked.peakBytes).toBeLessThan(512 * MIB);
});
