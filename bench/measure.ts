import type { MessageSize } from "./message.ts";
import type { BenchClient } from "./stacks/stack.ts";

/** What a client process is told to do. */
export interface Order {
  /** The size of the messages of streams; without it, unary calls are made. */
  readonly size?: MessageSize;
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
export async function measure(client: BenchClient, { size, concurrency, windowMs }: Order): Promise<Sample> {
  const cpu = process.cpuUsage();
  const start = performance.now();
  const end = start + windowMs;
  let done = 0;
  const once = () => (size ? client.stream(size) : client.unary().then(() => 1));
  const loop = async () => {
    while (performance.now() < end) {
      // Into a variable of its own: `done += await` would forget what the others have done meanwhile.
      const count = await once();
      done += count;
    }
  };
  await Promise.all(Array.from({ length: concurrency }, loop));
  const seconds = (performance.now() - start) / 1000;
  const { user, system } = process.cpuUsage(cpu);
  return { perSecond: done / seconds, count: done, clientMicros: (user + system) / done };
}
