// A process of its own for each server and each client, so that no stack runs on code warmed up by another.
import { measure, type Order } from "./measure.ts";
import { type StackName, stacks } from "./stacks/index.ts";

const [role, name, port] = process.argv.slice(2);
const stack = stacks[name as StackName];
const send = (message: unknown) => process.send?.(message);

process.on("disconnect", () => process.exit(0));

if (role === "server") {
  send({ port: await stack.serve() });
  process.on("message", () => send(process.cpuUsage()));
} else {
  const client = stack.connect(Number(port));
  process.on("message", async (order: Order) => send(await measure(client, order)));
  send({ port: 0 });
}
