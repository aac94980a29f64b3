import { type CallOptions, createClient } from "bowline";
import { expect, expectTypeOf, test } from "vitest";
import { OrderService, type OrderServiceClient } from "../../../gen/shop/orders/v1/orders.contract.ts";

type Watch = OrderServiceClient["watchOrders"];
type OnExpired = NonNullable<NonNullable<Parameters<Watch>[1]>["onExpired"]>;

const saved = async () => 90n;

/** What only the types can tell before a position has expired. */
const untold: Record<string, OnExpired> = {
  // @ts-expect-error: the request has no such field
  "a misspelt field": () => ({ afterRevison: 90n }),
  // @ts-expect-error: nor has it beside another one
  "a misspelt field beside another": () => ({ customerId: "c-1", afterRevison: 90n }),
  // @ts-expect-error: nor later
  "a misspelt field in a promise": async () => ({ customerId: "c-1", afterRevison: await saved() }),
  // @ts-expect-error: positions of this stream are numbers
  "a position of another type": () => ({ afterRevision: new Uint8Array() }),
  // @ts-expect-error: it must say where to go on; 0n is the start
  "no position": () => ({ customerId: "c-1" }),
  // @ts-expect-error: undefined is no answer
  null: () => null,
  // @ts-expect-error: the stream's positions are no texts
  "another stream's position": (position: string) => ({ customerId: position, afterRevision: 0n }),
};

const told: OnExpired[] = [
  () => undefined,
  () => ({ afterRevision: 0n }),
  async () => ({ customerId: "c-1", afterRevision: await saved() }),
  (position, { signal }) => (signal.aborted ? undefined : { afterRevision: position + 1n }),
  async (_: unknown) => ({ afterRevision: 0n }),
];

test("onExpired is given its stream's position, and answers its request with one", () => {
  using orders = createClient(OrderService, "127.0.0.1:1");
  expectTypeOf<Parameters<OnExpired>[0]>().toEqualTypeOf<bigint>();
  orders.watchOrders(
    {},
    {
      onExpired(position, { signal }) {
        expectTypeOf(position).toEqualTypeOf<bigint>();
        expectTypeOf(signal).toEqualTypeOf<AbortSignal>();
        return { afterRevision: position };
      },
    },
  );
  for (const onExpired of [...told, ...Object.values(untold)]) {
    expect(() => orders.watchOrders({}, { onExpired })).not.toThrow();
  }
});

test("options that are made for any method are taken by each, and those of an older generated client by its callers", () => {
  using orders = createClient(OrderService, "127.0.0.1:1");
  const options: CallOptions = { timeoutMs: 5, onExpired: async () => ({ customerId: "c-1" }) };
  expectTypeOf(orders.watchOrders).toBeCallableWith({}, options);
  expectTypeOf(orders.listOrders).toBeCallableWith({}, options);
  expectTypeOf(orders.getOrder).toBeCallableWith({}, options);
  const older = (_: object, options?: CallOptions) => options?.onExpired;
  expect(older({}, { onExpired: (position: unknown) => ({ after: position }) })).toBeTypeOf("function");
  expectTypeOf<NonNullable<Parameters<Watch>[1]>>().toExtend<CallOptions>();
});
