import { idempotencyKey } from "bowline";
import { idempotency, memoryIdempotency } from "bowline/server";
import { ServerError, Status } from "nice-grpc";
import type { ServerMiddleware } from "nice-grpc-common";
import { OrderServiceDefinition } from "../../gen/shop/orders/v1/orders.ts";
import type { NiceHandlers } from "./nice-alone.ts";

/** The methods whose calls have keys. */
export const methods = ["createOrder"] as const;

/** A client middleware under test. */
export const keys = () => idempotencyKey(OrderServiceDefinition, { methods });

/** A server middleware under test. */
export const once = (options: object = {}) =>
  idempotency(OrderServiceDefinition, { store: memoryIdempotency(), methods, ...options }) as ServerMiddleware;

/** Retries that wait for next to nothing. */
export const quick = { initialBackoffMs: 0.1 };

/** What a handler fails with that may be called again. */
export const down = () => new ServerError(Status.UNAVAILABLE, "the disk is full");

/** A call option of ours, where nice-grpc's client was made with middlewares that its type does not show. */
export const keyed = (idempotencyKey: string, more: object = {}) => ({ idempotencyKey, ...more }) as object;

export type CreateOrder = NiceHandlers["createOrder"];

/** A handler that notes the keys that it is called with, and answers each run with another order. */
export function counting(act: (run: number) => void = () => {}) {
  const seen: (string | undefined)[] = [];
  const createOrder: CreateOrder = async ({ customerId }, { metadata }) => {
    const run = seen.push(metadata.get("idempotency-key"));
    act(run);
    return { orderId: `o-${run}`, customerId, totalCents: 9_007_199_254_740_993n };
  };
  return { seen, createOrder };
}

/** Fails the first `count` runs of a handler. */
export const failing = (count: number) => (run: number) => {
  for (const error of Array(count)
    .fill(down())
    .slice(run - 1, count))
    throw error;
};
