import { setTimeout } from "node:timers/promises";

/** What a process holds, in bytes. */
export interface Memory {
  /** Of JavaScript, and of what it refers to outside its heap. */
  readonly heap: number;
  /** Of the whole process. */
  readonly resident: number;
}

/** What this process holds once all garbage is collected. Needs `--expose-gc`. */
export async function memoryInUse(): Promise<Memory> {
  // What ends in one turn of the event loop may hold on to something until a later one.
  for (let turn = 0; turn < 5; turn += 1) {
    await setTimeout(50);
    globalThis.gc?.();
  }
  const { heapUsed, external, rss } = process.memoryUsage();
  return { heap: heapUsed + external, resident: rss };
}
