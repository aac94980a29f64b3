import { STREAM_MESSAGES } from "./message.ts";
import type { BenchClient } from "./stacks/stack.ts";

/** What a client process is told to do. */
export interface Order {
  readonly mode: "unary" | "stream";
  /** Calls, or streams, in flight. */
  readonly concurrency: number;
  readonly windowMs: number;
}

/** What came of it. */
export interface Sample {
  /** Calls, or messages, per second. */
  readonly perSecond: number;
  readonly count: number;
  /** The client process's CPU time per call or message, in microseconds. */
  readonly clientMicros: number;
}

/** Keeps `concurrency` calls in flight for `windowMs`. */
export async function measure(client: BenchClient, order: Order): Promise<Sample> {
  const cpu = process.cpuUsage();
  const start = performance.now();
  const end = start + order.windowMs;
  let done = 0;
  const loop = async () => {
    while (performance.now() < end) {
      if (order.mode === "unary") {
        await client.unary();
        done += 1;
      } else done += await client.stream(STREAM_MESSAGES);
    }
  };
  await Promise.all(Array.from({ length: order.concurrency }, loop));
  const seconds = (performance.now() - start) / 1000;
  const { user, system } = process.cpuUsage(cpu);
  return { perSecond: done / seconds, count: done, clientMicros: (user + system) / done };
}
