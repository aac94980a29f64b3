import { ask, startChild } from "../child.ts";
import type { Order, Sample } from "../measure.ts";
import type { Calls } from "./calls.ts";

/** What a client is asked: to connect, then to make calls. */
export type Question = Calls | Order;

/** What a window showed. */
export interface ServedSample {
  /** Calls per second. */
  readonly perSecond: number;
  /** The server process's CPU time per call, of all its threads, in microseconds. */
  readonly serverMicros: number;
}

/** A variant's server and its client. */
export interface RunningVariant {
  readonly name: string;
  /** Keeps 16 calls in flight for so long. */
  run(windowMs: number): Promise<ServedSample>;
  stop(): void;
}

/** How many calls are under way at a time. */
export const IN_FLIGHT = 16;

const worker = new URL("./worker.ts", import.meta.url);

/** Starts a variant's two processes. */
export async function startVariant(name: string, redisPort: number): Promise<RunningVariant> {
  const [{ child: server, first: calls }, { child: client }] = await Promise.all([
    startChild<Calls>(worker, ["server", name, String(redisPort)]),
    startChild(worker, ["client"]),
  ]);
  await ask(client, calls);
  return {
    name,
    async run(windowMs) {
      const before = await ask<NodeJS.CpuUsage>(server, "cpu");
      const order: Order = { concurrency: IN_FLIGHT, windowMs };
      const { perSecond, count } = await ask<Sample>(client, order);
      const after = await ask<NodeJS.CpuUsage>(server, "cpu");
      return { perSecond, serverMicros: (after.user + after.system - before.user - before.system) / count };
    },
    stop() {
      client.disconnect();
      server.disconnect();
    },
  };
}
