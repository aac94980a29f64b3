import type { MessageSize } from "../message.ts";

/** One way to call and serve `shop.orders.v1.OrderService`. */
export interface Stack {
  /** Serves GetOrder and WatchOrders on loopback; resolves with the port. */
  serve(): Promise<number>;
  connect(port: number): BenchClient;
}

/** A stack's client. */
export interface BenchClient {
  /** Makes one GetOrder call. */
  unary(): Promise<unknown>;
  /** Reads a WatchOrders stream of messages of a size to its end; resolves with how many came. */
  stream(size: MessageSize): Promise<number>;
  /** Opens a WatchOrders stream and reads its first message; no other comes. */
  open(): Promise<void>;
}

/** Reads a stream to its end. */
export async function count(messages: AsyncIterable<unknown>): Promise<number> {
  let seen = 0;
  for await (const _ of messages) seen += 1;
  return seen;
}

/** Reads a stream's first message and leaves the stream open. */
export async function first(messages: AsyncIterable<unknown>): Promise<void> {
  const iterator = messages[Symbol.asyncIterator]();
  open.push(iterator);
  await iterator.next();
}

/** What nobody refers to might be collected, and with it the stream. */
const open: AsyncIterator<unknown>[] = [];
