/** One way to call and serve `shop.orders.v1.OrderService`. */
export interface Stack {
  /** Serves GetOrder and ListOrders on loopback; resolves with the port. */
  serve(): Promise<number>;
  connect(port: number): BenchClient;
}

/** A stack's client. */
export interface BenchClient {
  /** Makes one GetOrder call. */
  unary(): Promise<unknown>;
  /** Reads a ListOrders stream of `limit` messages to its end; resolves with how many came. */
  stream(limit: number): Promise<number>;
}

/** Reads a stream to its end. */
export async function count(messages: AsyncIterable<unknown>): Promise<number> {
  let seen = 0;
  for await (const _ of messages) seen += 1;
  return seen;
}
