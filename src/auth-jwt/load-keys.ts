import { createLocalJWKSet, type JSONWebKeySet, type LocalJWKSet } from "jose";
import type { Clock } from "../core/clock.ts";

/** Where keys come from. */
export interface KeySource {
  /** What errors call it: its URL. */
  readonly name: string;
  /** Gets them; the signal aborts when nobody waits for them any more. */
  load(signal: AbortSignal): Promise<JSONWebKeySet>;
}

/**
 * Gets keys in time.
 *
 * @throws Error that names the source and says why it has none; its `cause` is what was thrown.
 */
export async function loadKeys({ name, load }: KeySource, timeoutMs: number, clock: Clock): Promise<LocalJWKSet> {
  const controller = new AbortController();
  const late = Promise.withResolvers<never>();
  const timer = clock.setTimer(timeoutMs, () => late.reject(new Error(`no answer in ${timeoutMs} ms`)));
  try {
    return createLocalJWKSet(await Promise.race([load(controller.signal), late.promise]));
  } catch (cause) {
    throw new Error(`${name}: ${reasonOf(cause)}`, { cause });
  } finally {
    timer.cancel();
    // Nobody reads the rest of an answer that is none.
    controller.abort();
  }
}

/** What `fetch` throws says why in its cause alone, and where several addresses fail, in that one's code alone. */
function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const said = error.message || String(Reflect.get(error, "code") ?? error.name);
  return error.cause === undefined ? said : `${said}: ${reasonOf(error.cause)}`;
}
