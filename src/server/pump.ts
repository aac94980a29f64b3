/**
 * Reads a handler's stream and sends it, message by message, waiting where there is no room.
 *
 * It makes all three of the iterator's calls itself, so that a generator runs in the context of its call from the
 * first step to its `finally`: a generator runs in the context of whoever resumes it.
 *
 * @param send returns what to wait for before the next message; that keeps the bound of what waits to be sent, since
 * neither grpc-js nor Node has one in bytes. It resolves too when nobody reads any more.
 * @param stopped whether nobody reads any more; the handler is then left at its next message.
 * @throws what the handler throws.
 */
export async function pump(
  messages: AsyncIterable<unknown>,
  send: (message: unknown) => Promise<void> | undefined,
  stopped: () => boolean,
): Promise<void> {
  const iterator = messages[Symbol.asyncIterator]();
  for (;;) {
    const result = await iterator.next();
    if (result.done) return;
    if (stopped()) break;
    try {
      const room = send(result.value);
      if (room) await room;
    } catch (error) {
      await iterator.return?.();
      throw error;
    }
    if (stopped()) break;
  }
  await iterator.return?.();
}
