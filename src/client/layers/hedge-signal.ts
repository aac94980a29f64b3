import { tell } from "../../core/warning.ts";

/** All that layers and attempts ask of a call's signal. */
type Followed = Pick<AbortSignal, "aborted" | "reason" | "addEventListener" | "removeEventListener">;

type Listener = () => unknown;

/**
 * Cancels one attempt of a hedged call. Not an AbortController: nearly all calls are answered before anything is
 * cancelled, and a controller with a listener costs as much as the timer, which is all that such a call should cost.
 */
export class HedgeSignal {
  #listeners: readonly Listener[] = NO_LISTENERS;
  aborted = false;
  reason: unknown = undefined;

  /** What the attempt's call is given. It never leaves the pipeline: what is handed further has a signal of its own. */
  get signal(): AbortSignal {
    // Listeners here are functions that take no event, which is less than an AbortSignal takes.
    return this as Followed as AbortSignal;
  }

  /** Cancels the attempt, once. */
  abort(reason: unknown): void {
    if (this.aborted) return;
    this.aborted = true;
    this.reason = reason;
    const listeners = this.#listeners;
    this.#listeners = NO_LISTENERS;
    for (const listener of listeners) tell("a signal's listener threw", listener);
  }

  addEventListener(_type: string, listener: Listener): void {
    this.#listeners = this.#listeners.length === 0 ? [listener] : [...this.#listeners, listener];
  }

  removeEventListener(_type: string, listener: Listener): void {
    const left = this.#listeners.filter((other) => other !== listener);
    this.#listeners = left.length === 0 ? NO_LISTENERS : left;
  }
}

const NO_LISTENERS: readonly Listener[] = Object.freeze([]);
