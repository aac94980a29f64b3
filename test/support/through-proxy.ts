import type { ClientOptions } from "bowline";
import { type FaultProxy, type FaultRule, faultProxy, type SeenCall } from "bowline/testing";
import { expect, onTestFinished, vi } from "vitest";
import type { OrderServiceClient, OrderServiceHandlers } from "../../gen/shop/orders/v1/orders.contract.ts";
import { connectOrders, serveOrders } from "./orders.ts";

/** A fault proxy before a port of this machine, until the test is over. */
export async function proxyTo(port: number, rules: readonly FaultRule[] = [], seed = 1): Promise<FaultProxy> {
  const proxy = await faultProxy(`127.0.0.1:${port}`, { seed }).script(...rules);
  onTestFinished(() => proxy.close());
  return proxy;
}

export function portOf({ target }: FaultProxy): number {
  return Number(target.split(":")[1]);
}

/** The orders service, a fault proxy before it, and a client of that, until the test is over. */
export async function throughProxy(
  handlers: Partial<OrderServiceHandlers>,
  rules: readonly FaultRule[] = [],
  options: ClientOptions = {},
): Promise<{ proxy: FaultProxy; orders: OrderServiceClient }> {
  const { port } = await serveOrders(handlers);
  const proxy = await proxyTo(port, rules);
  return { proxy, orders: connectOrders(portOf(proxy), options) };
}

/** Aborts when a fault has happened to a call that came by. */
export function onceHappened(proxy: FaultProxy): AbortSignal {
  const controller = new AbortController();
  const happened = async () => {
    const { calls } = await proxy.seen();
    expect(calls.some(({ fault }) => fault)).toBe(true);
  };
  vi.waitFor(happened, 10_000).finally(() => controller.abort("left"));
  return controller.signal;
}

/** The calls that a proxy saw, once all of them are over. */
export async function endedCalls(proxy: FaultProxy): Promise<readonly SeenCall[]> {
  return await vi.waitFor(async () => {
    const { calls } = await proxy.seen();
    expect(calls.filter(({ endedAt }) => endedAt === undefined)).toEqual([]);
    return calls;
  }, 10_000);
}

/** All that a stream yields, and what it ends with if that is an error. */
export async function drained<T>(stream: AsyncIterable<T>): Promise<{ messages: T[]; error: unknown }> {
  const messages: T[] = [];
  try {
    for await (const message of stream) messages.push(message);
  } catch (error) {
    return { messages, error };
  }
  return { messages, error: undefined };
}
