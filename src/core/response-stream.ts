/**
 * Responses of a call, as the application reads them. The call is sent when the first one is asked for. Leaving a
 * `for await`, or `return()`, cancels it on the wire. It can be read once.
 */
export interface ResponseStream<Message, Cursor = unknown> {
  /**
   * On a stream that resumes: the position of the last message read. With it in the request, another call continues
   * there, in another process too. Undefined before the first one, and on other streams.
   */
  readonly cursor: Cursor | undefined;
  next(): Promise<IteratorResult<Message, undefined>>;
  return(): Promise<IteratorResult<Message, undefined>>;
  [Symbol.asyncIterator](): ResponseStream<Message, Cursor>;
  [Symbol.asyncDispose](): Promise<void>;
}
