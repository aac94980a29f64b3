import type { Clock } from "../../core/clock.ts";

/** What a store answers. One that does not, as where its connection leads nowhere, is given up on, and may still act. */
export async function answered<T>(clock: Clock, withinMs: number, asked: Promise<T>): Promise<T> {
  const late = Promise.withResolvers<never>();
  const timer = clock.setTimer(withinMs, () => late.reject(silence(withinMs)));
  try {
    return await Promise.race([asked, late.promise]);
  } finally {
    timer.cancel();
  }
}

/** What is told of a store that does not answer. */
export function silence(silentMs: number): Error {
  return new Error(`the store of idempotency keys has not answered for ${Math.round(silentMs)} ms`);
}
