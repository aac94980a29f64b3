/** Where a request stream's messages go. */
export interface RequestSink {
  /** Sends one message; resolves once there is room for the next. */
  write(request: unknown): Promise<void>;
  /** No more messages come. */
  end(): void;
  /** The application's iterable threw. */
  fail(error: unknown): void;
}

/** Sends what an application's request stream yields, one message after the other, until it ends or is stopped. */
export class RequestPump {
  readonly #iterator: AsyncIterator<unknown>;
  readonly #sink: RequestSink;
  #stopped = false;

  constructor(requests: AsyncIterator<unknown>, sink: RequestSink) {
    this.#iterator = requests;
    this.#sink = sink;
    void this.#run();
  }

  /** Takes no further message and lets the application's iterable clean up. Without effect once it ended. */
  stop(): void {
    if (this.#stopped) return;
    this.#stopped = true;
    void this.#leave();
  }

  /** A failure while cleaning up has nobody left to tell: the call is over, and its outcome known. */
  async #leave(): Promise<void> {
    try {
      await this.#iterator.return?.();
    } catch {}
  }

  async #run(): Promise<void> {
    try {
      for (;;) {
        const result = await this.#iterator.next();
        if (this.#stopped) return;
        if (result.done) break;
        await this.#sink.write(result.value);
        if (this.#stopped) return;
      }
      this.#stopped = true;
      this.#sink.end();
    } catch (error) {
      if (this.#stopped) return;
      this.#stopped = true;
      this.#sink.fail(error);
    }
  }
}
