import { setTimeout } from "node:timers/promises";
import type { ServerInterceptingCall, ServerInterceptor } from "@grpc/grpc-js";
import { fail, Status } from "bowline";
import { expect, test } from "vitest";
import { clients } from "../support/attempts.ts";
import { connectOrders, gate, rejection, serveOrders } from "../support/orders.ts";

const MESSAGES = 2_000;
const ids = Array.from({ length: MESSAGES }, (_, index) => `o-${index}`);

/** A stream's ids in the order in which they came, and what it ended with. */
async function read(stream: AsyncIterable<{ readonly orderId: string }>) {
  const seen: string[] = [];
  try {
    for await (const { orderId } of stream) seen.push(orderId);
    return { seen };
  } catch (error) {
    return { seen, error };
  }
}

test.each(Object.entries(clients))(
  "all that was yielded before an error comes before it, over %s",
  async (_, connect) => {
    const { port } = await serveOrders({
      async *listOrders() {
        for (const orderId of ids) yield { orderId };
        fail("ABORTED", "the end of it");
      },
    });
    const { seen, error } = await read(connect(port).listOrders({}));
    expect(seen).toEqual(ids);
    expect(error).toMatchObject({ code: Status.ABORTED, details: "the end of it" });
  },
);

test("a message that is larger than may be sent ends its stream, and its handler", async () => {
  const cleanedUp = gate();
  const { port } = await serveOrders(
    {
      async *listOrders(_request, { signal }) {
        try {
          yield { orderId: "small" };
          yield { orderId: "x".repeat(100_000) };
          while (!signal.aborted) yield { orderId: "after" };
        } finally {
          cleanedUp.resolve();
        }
      },
    },
    { channelOptions: { "grpc.max_send_message_length": 50_000 } },
  );
  const { seen, error } = await read(connectOrders(port).listOrders({}));
  expect(seen).toEqual(["small"]);
  expect(error).toMatchObject({ code: Status.RESOURCE_EXHAUSTED });
  await cleanedUp.promise;
});

test("interceptors that hand messages on later, and as others, keep order and bound", async () => {
  const later: ServerInterceptor = (_method, call) => {
    const sendMessage = call.sendMessage;
    call.sendMessage = (message, written) => {
      setImmediate(() => sendMessage.call(call, Buffer.from(message), written));
    };
    return call as ServerInterceptingCall;
  };
  let yielded = 0;
  const { port } = await serveOrders(
    {
      async *listOrders() {
        for (const orderId of ids) {
          yielded += 1;
          yield { orderId, customerId: "x".repeat(10_000) };
        }
      },
    },
    { channelOptions: { interceptors: [later] } },
  );
  const stream = connectOrders(port).listOrders({});
  const first = await stream.next();
  for (let last = -1; last !== yielded; ) {
    last = yielded;
    await setTimeout(100);
  }
  expect(yielded).toBeLessThan(MESSAGES / 2);
  const { seen } = await read(stream);
  expect([first.value?.orderId, ...seen]).toEqual(ids);
});

test("a client that aborts while it reads as fast as it can leaves no handler behind", async () => {
  const began = gate();
  const { server, port } = await serveOrders({
    async *listOrders() {
      began.resolve();
      for (;;) yield { orderId: "x".repeat(100_000) };
    },
  });
  const controller = new AbortController();
  const stream = connectOrders(port).listOrders({}, { signal: controller.signal });
  const reading = rejection(Array.fromAsync(stream));
  await began.promise;
  controller.abort("gone");
  expect(await reading).toBe("gone");
  while (server.activeCalls > 0) await setTimeout(5);
});
