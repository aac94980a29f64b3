// A process of its own for each variant's server, and one for its clients.
import { setImmediate, setTimeout } from "node:timers/promises";
import { Client, credentials } from "@grpc/grpc-js";
import { order } from "../message.ts";
import type { Asked } from "./processes.ts";
import { variants } from "./variants.ts";

/** How many messages a turn of the event loop publishes. */
const BURST = 16;
/** How many a subscriber may leave unread before the publisher waits. */
const UNREAD = 64;
/** How many streams share a connection. */
const STREAMS = 100;

const [role, name = "", port] = process.argv.slice(2);
const send = (message: unknown) => process.send?.(message);
process.on("disconnect", () => process.exit(0));

async function serve(): Promise<void> {
  const variant = variants[name]?.();
  if (!variant) throw new Error(`there is no variant ${name}`);
  let revision = 0n;
  const publish = async (messages: number) => {
    for (let published = 0; published < messages; published += 1) {
      revision += 1n;
      variant.publish({ revision, order, eventTime: order.createTime, heartbeat: false });
      if (published % BURST === 0) await setImmediate();
      // Not in turns: they would count as work.
      while (variant.lag() > UNREAD) await setTimeout(1);
    }
  };
  process.on("message", async ({ publish: messages = 0 }: Asked) => {
    await publish(messages);
    const { user, system } = process.cpuUsage();
    send({ cpuMicros: user + system });
  });
  send({ port: await variant.serve(), title: variant.title });
}

/** Streams whose messages are counted and not decoded, so that the machine is left to the server. */
function connect(subscribers: number): void {
  let received = 0;
  let due = Number.POSITIVE_INFINITY;
  const asIs = (bytes: Buffer) => bytes;
  const clients = Array.from({ length: Math.ceil(subscribers / STREAMS) }, () => {
    const own = { "grpc.use_local_subchannel_pool": 1 };
    return new Client(`127.0.0.1:${port}`, credentials.createInsecure(), own);
  });
  const count = () => {
    received += 1;
    if (received === due) send({ received });
  };
  for (let opened = 0; opened < subscribers; opened += 1) {
    const path = "/shop.orders.v1.OrderService/WatchOrders";
    clients[opened % clients.length]?.makeServerStreamRequest(path, asIs, asIs, Buffer.alloc(0)).on("data", count);
  }
  process.on("message", ({ await: messages }: Asked) => {
    const soFar = received;
    received = 0;
    due = messages ?? Number.POSITIVE_INFINITY;
    send({ received: soFar });
  });
  send({});
}

if (role === "server") await serve();
else connect(Number(name));
