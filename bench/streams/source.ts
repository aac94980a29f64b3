/** A message, as small as they come. */
export interface Message {
  readonly revision: number;
}

const RESULT: IteratorResult<Message, undefined> = { done: false, value: { revision: 1 } };

/** A source that is never out of messages, and makes one promise for each, as a stream of responses does. */
export function endless(): AsyncIterableIterator<Message, undefined> {
  return {
    next: () => Promise.resolve(RESULT),
    return: () => Promise.resolve({ done: true, value: undefined }),
    [Symbol.asyncIterator]() {
      return this;
    },
  };
}
