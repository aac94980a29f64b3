import { createHook } from "node:async_hooks";
import type { Subject } from "../policies/subject.ts";

const CALLS = 1_000;

/** How many promises a call makes, its source's among them. Counting them makes a few more of each `await`. */
export async function promisesPerCall({ call }: Subject): Promise<number> {
  let made = 0;
  const hook = createHook({
    init(_id, type) {
      if (type === "PROMISE") made += 1;
    },
  });
  hook.enable();
  for (let calls = 0; calls < CALLS; calls += 1) await call();
  hook.disable();
  return made / CALLS;
}
