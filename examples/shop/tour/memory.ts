import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";

let collectGarbage: (() => void) | undefined;

/** What this process holds on to, in MiB: its heap after a full garbage collection, and its buffers. */
export function heldMib(): number {
  collectGarbage ??= exposed();
  collectGarbage();
  const { heapUsed, external } = process.memoryUsage();
  return (heapUsed + external) / 1_048_576;
}

/** Only when it is asked for: a process that nobody asks has its flags as they were. */
function exposed(): () => void {
  setFlagsFromString("--expose-gc");
  return runInNewContext("gc") as () => void;
}
