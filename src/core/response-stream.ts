/**
 * Responses of a call, as the application reads them. The call is sent when the first one is asked for. Leaving a
 * `for await`, or `return()`, cancels it on the wire. It can be read once.
 */
export interface ResponseStream<Message> {
  next(): Promise<IteratorResult<Message, undefined>>;
  return(): Promise<IteratorResult<Message, undefined>>;
  [Symbol.asyncIterator](): ResponseStream<Message>;
  [Symbol.asyncDispose](): Promise<void>;
}
