import type { ServiceProcess } from "../processes.ts";
import { NOTHING, type ServedCounts, underWay } from "./instruments.ts";
import { until } from "./load.ts";

/** What a process saw of a method, once all that it began has ended in some way. */
export async function settled(replica: ServiceProcess, method: string): Promise<ServedCounts> {
  let counts = NOTHING;
  await until(`the ${replica.service} replica has ended what it began`, async () => {
    counts = (await replica.counts())[method] ?? NOTHING;
    return underWay(counts) === 0;
  });
  return counts;
}
