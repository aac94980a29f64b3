/** What a pump is told of whoever reads. */
export interface PumpReader {
  /**
   * Sends a message. What it returns is waited for before the next one; that keeps the bound of what waits to be sent,
   * since neither grpc-js nor Node has one in bytes. It resolves too when nobody reads any more.
   */
  send(message: unknown): Promise<void> | undefined;
  /** Whether nobody reads any more. */
  stopped(): boolean;
  /** Calls back, in the context of the call, when nobody reads any more. */
  onStop(listener: () => void): void;
}

/**
 * Reads a handler's stream and sends it, message by message, waiting where there is no room. Once nobody reads any more
 * the handler is left: in the middle of a step if its stream can be left there, as operators and subscriptions can, and
 * else at its next message.
 *
 * It makes all three of the iterator's calls itself, so that a generator runs in the context of its call from the
 * first step to its `finally`: a generator runs in the context of whoever resumes it.
 *
 * @throws what the handler throws.
 */
export async function pump(messages: AsyncIterable<unknown>, reader: PumpReader): Promise<void> {
  const iterator = messages[Symbol.asyncIterator]();
  const leave = async () => void (await iterator.return?.());
  let left: Promise<void> | undefined;
  let isAsked = false;
  reader.onStop(() => {
    if (!isAsked || left) return;
    left = leave();
    // Whoever waits for the step throws it, once that is over.
    left.catch(() => {});
  });
  for (;;) {
    isAsked = true;
    const result = await iterator.next();
    isAsked = false;
    if (result.done) return left;
    if (reader.stopped()) break;
    try {
      const room = reader.send(result.value);
      if (room) await room;
    } catch (error) {
      await leave();
      throw error;
    }
    if (reader.stopped()) break;
  }
  await (left ?? leave());
}
