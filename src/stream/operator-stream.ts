/**
 * What every operator returns: messages that can be read once.
 *
 * The source is read when the first message is asked for. Calls of `next()` before the last one has settled are
 * answered in their order. An error is told once, to whoever reads next; then it is done. After the end, every
 * `next()` is done.
 */
export interface OperatorStream<Message> {
  /**
   * The next message.
   *
   * @throws what the source or a callback throws, and the signal's reason.
   */
  next(): Promise<IteratorResult<Message, undefined>>;
  /**
   * Leaves: calls the source's `return()`, once, unless it has ended by itself, and waits for it. Leaving a `for await`
   * does it, however it is left. A pending `next()` resolves as done; that of `map`, `filter`, `take` and `tap` as soon
   * as the source's own, which all streams of Bowline settle at once, and their callback let go.
   *
   * @throws what the source's `return()` throws.
   */
  return(): Promise<IteratorResult<Message, undefined>>;
  [Symbol.asyncIterator](): OperatorStream<Message>;
  [Symbol.asyncDispose](): Promise<void>;
}

/** What every operator takes, last. */
export interface OperatorOptions {
  /**
   * Ends the stream at once: the source is left, messages that nobody has read are dropped, and `next()` rejects with
   * the signal's reason. Default: none; a call's own signal ends its stream already.
   */
  readonly signal?: AbortSignal | undefined;
}

/** What `next()` resolves to. */
export type Result<Message> = IteratorResult<Message, undefined>;
