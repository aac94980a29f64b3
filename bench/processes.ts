import type { ChildProcess } from "node:child_process";
import { ask as askAny, startChild } from "./child.ts";
import type { Order, Sample } from "./measure.ts";
import type { Memory } from "./memory.ts";
import type { StackName } from "./stacks/index.ts";

const worker = new URL("./worker.ts", import.meta.url);

/** What a worker is asked: a server for what it has used, a client to do something. */
export type Question = "cpu" | "memory" | { readonly open: number } | Order;

const ask = <T>(child: ChildProcess, question: Question) => askAny<T>(child, question);

async function start(...argv: string[]): Promise<{ child: ChildProcess; port: number }> {
  const execArgv = [...process.execArgv, "--expose-gc"];
  const { child, first } = await startChild<{ port: number }>(worker, argv, { execArgv });
  return { child, port: first.port };
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
  /** Opens so many streams on one connection, to stay. @returns what the server holds for each, in bytes. */
  open(streams: number): Promise<Memory>;
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
    async open(streams) {
      const before = await ask<Memory>(server.child, "memory");
      await ask(client.child, { open: streams });
      const after = await ask<Memory>(server.child, "memory");
      return { heap: (after.heap - before.heap) / streams, resident: (after.resident - before.resident) / streams };
    },
    stop() {
      client.child.disconnect();
      server.child.disconnect();
    },
  };
}
