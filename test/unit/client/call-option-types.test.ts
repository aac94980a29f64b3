import type { CallContext, CallOptions } from "bowline";
import { expectTypeOf, test } from "vitest";
import type { OrderServiceClient, OrderServiceHandlers } from "../../../gen/shop/orders/v1/orders.contract.ts";

test("a handler's context is no options of a call, whose metadata would be its caller's", () => {
  expectTypeOf<CallContext>().not.toExtend<CallOptions>();
  expectTypeOf<CallContext & { readonly timeoutMs: number }>().not.toExtend<CallOptions>();
  expectTypeOf<OrderServiceClient>().not.toExtend<OrderServiceHandlers>();
});

test("what is named of it is", () => {
  expectTypeOf<Pick<CallContext, "signal" | "deadline" | "criticality">>().toExtend<CallOptions>();
});
