import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import type { Order, Sample } from "./measure.ts";
import type { StackName } from "./stacks/index.ts";

const worker = new URL("./worker.ts", import.meta.url);

async function start(...argv: string[]): Promise<{ child: ChildProcess; port: number }> {
  const child = fork(worker, argv);
  const [message] = await once(child, "message");
  return { child, port: message.port };
}

/** A stack's server and client, each a process of its own. */
export interface RunningStack {
  readonly name: StackName;
  run(order: Order): Promise<Sample>;
  stop(): void;
}

/** Starts a stack's two processes. */
export async function startStack(name: StackName): Promise<RunningStack> {
  const server = await start("server", name);
  const client = await start("client", name, String(server.port));
  return {
    name,
    async run(order) {
      client.child.send(order);
      const [sample] = await once(client.child, "message");
      return sample;
    },
    stop() {
      client.child.disconnect();
      server.child.disconnect();
    },
  };
}
