/** Where a request stream's messages go. */
export interface RequestSink {
  /** Sends one message; resolves once there is room for the next. */
  write(request: unknown): Promise<void>;
  /** No more messages come. */
  end(): void;
  /** The application's iterable threw. */
  fail(error: unknown): void;
}

/**
 * After how many messages the event loop gets a turn. grpc-js takes a mebibyte of requests at once, to send them again
 * if the server does not look at them: of small ones that is tens of thousands, in which no answer is heard of.
 */
const MESSAGES_PER_TURN = 64;

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
      for (let sent = 1; ; sent += 1) {
        const result = await this.#iterator.next();
        if (this.#stopped) return;
        if (result.done) break;
        await this.#sink.write(result.value);
        if (sent % MESSAGES_PER_TURN === 0) await new Promise((resolve) => setImmediate(resolve));
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
