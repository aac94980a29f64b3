import type { Call } from "../core/call.ts";

/**
 * How long attempts have waited at a bulkhead, in milliseconds; Infinity as long as their turn has not come. Before the
 * first one waits, nothing is looked up: a client has a queue at any time if its policies change, and most have none.
 */
export class Waits {
  readonly #ms = new WeakMap<Call, number>();
  #any = false;

  get(call: Call): number | undefined {
    return this.#any ? this.#ms.get(call) : undefined;
  }

  set(call: Call, waitedMs: number): void {
    this.#any = true;
    this.#ms.set(call, waitedMs);
  }
}
