/** A call whose handler has not finished. */
export interface ActiveCall {
  /** Its method's path. */
  readonly path: string;
  /** Ends it now, because the server stops; absent for calls that are let finish. */
  readonly drain?: () => void;
  /** Gives up on it: its handler is told to stop. */
  readonly abandon: () => void;
}

/** The calls whose handlers have not finished, whether or not their clients still wait. */
export class ActiveCalls {
  readonly #calls = new Set<ActiveCall>();
  #waiting: (() => void)[] = [];

  get count(): number {
    return this.#calls.size;
  }

  /** The path of each call's method. */
  get paths(): string[] {
    return [...this.#calls].map(({ path }) => path);
  }

  add(call: ActiveCall): void {
    this.#calls.add(call);
  }

  remove(call: ActiveCall): void {
    this.#calls.delete(call);
    if (this.#calls.size > 0) return;
    for (const resolve of this.#waiting.splice(0)) resolve();
  }

  /** Ends every open stream. */
  drainStreams(): void {
    for (const call of [...this.#calls]) call.drain?.();
  }

  /** Gives up on whatever is left. */
  abandon(): void {
    for (const call of [...this.#calls]) call.abandon();
  }

  /** Resolves once no handler runs. */
  idle(): Promise<void> {
    return this.#calls.size === 0 ? Promise.resolve() : new Promise((resolve) => this.#waiting.push(resolve));
  }
}
