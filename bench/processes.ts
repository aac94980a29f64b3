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

async function ask<T>(child: ChildProcess, question: Order | "cpu"): Promise<T> {
  child.send(question);
  const [answer] = await once(child, "message");
  return answer;
}

/** What a window showed on both ends. */
export interface FullSample extends Sample {
  /** The server process's CPU time per call or message, in microseconds. */
  readonly serverMicros: number;
}

/** A stack's server and client, each a process of its own. */
export interface RunningStack {
  readonly name: StackName;
  run(order: Order): Promise<FullSample>;
  stop(): void;
}

/** Starts a stack's two processes. */
export async function startStack(name: StackName): Promise<RunningStack> {
  const server = await start("server", name);
  const client = await start("client", name, String(server.port));
  return {
    name,
    async run(order) {
      const before = await ask<NodeJS.CpuUsage>(server.child, "cpu");
      const sample = await ask<Sample>(client.child, order);
      const after = await ask<NodeJS.CpuUsage>(server.child, "cpu");
      const serverMicros = (after.user + after.system - before.user - before.system) / sample.count;
      return { ...sample, serverMicros };
    },
    stop() {
      client.child.disconnect();
      server.child.disconnect();
    },
  };
}
