import { clientMiddleware } from "bowline";
import { ClientError, type CallOptions as NiceCallOptions, Status } from "nice-grpc-common";
import { describe, expect, test } from "vitest";
import { OrderService } from "../../../gen/shop/orders/v1/orders.contract.ts";
import { contract } from "../../../src/contract/contract.ts";

const { methods } = OrderService.definition;

/** A call as nice-grpc hands it to a middleware; what reaches the rest of the chain is kept. */
function aNiceCall(path: string, responseStream: boolean, answer: (options: NiceCallOptions) => Promise<unknown>) {
  const passed: { request: unknown; options: Record<string, unknown> }[] = [];
  async function* next(request: unknown, options: NiceCallOptions): AsyncGenerator<unknown, unknown, undefined> {
    passed.push({ request, options: { ...options } });
    const message = await answer(options);
    if (!responseStream) return message;
    yield message;
    return undefined;
  }
  const call = { method: { path, requestStream: false, responseStream, options: {} }, responseStream };
  return { passed, call: { ...call, requestStream: false, request: "request", next } as never };
}

const getOrder = `/${OrderService.name}/${methods.getOrder.name}`;
const listOrders = `/${OrderService.name}/${methods.listOrders.name}`;

/** What a middleware's generator returns. */
async function returned(generator: AsyncGenerator<unknown, unknown, undefined>): Promise<unknown> {
  const result = await generator.next();
  expect(result.done).toBe(true);
  return result.value;
}

describe("clientMiddleware", () => {
  test("keeps its own options to itself, and hands on those of others, and that nothing is to be repeated", async () => {
    const { passed, call } = aNiceCall(getOrder, false, async () => "order");
    const own = { timeoutMs: 100, inherit: false, retry: false, maxAttempts: 2, metadata: { a: "b" } as never };
    const plain = contract({ ...OrderService, methods: {} });
    expect(await returned(clientMiddleware(plain)(call, { ...own, traced: true } as never))).toBe("order");
    expect(Object.keys(passed[0]?.options ?? {}).sort()).toEqual([
      "metadata",
      "onTrailer",
      "retry",
      "signal",
      "traced",
    ]);
    expect(passed[0]?.options).toMatchObject({ traced: true, retry: false });
  });

  test("asks for the headers of a call that may be retried, since they commit it", async () => {
    const { passed, call } = aNiceCall(getOrder, false, async () => "order");
    const retried = contract({ ...OrderService, methods: { getOrder: { retry: {} } } });
    expect(await returned(clientMiddleware(retried)(call, {}))).toBe("order");
    expect(Object.keys(passed[0]?.options ?? {}).sort()).toEqual(["metadata", "onHeader", "onTrailer", "signal"]);
  });

  test("gives a stream its messages", async () => {
    const { call } = aNiceCall(listOrders, true, async () => "order");
    expect(await Array.fromAsync(clientMiddleware(OrderService)(call, {}))).toEqual(["order"]);
  });

  test("leaves calls of other services alone", async () => {
    const { passed, call } = aNiceCall("/other.Service/Get", false, async () => "other");
    const options = { timeoutMs: 100 };
    expect(await returned(clientMiddleware(OrderService)(call, options as never))).toBe("other");
    expect(passed[0]).toEqual({ request: "request", options });
  });

  test("a failure is an RpcError, and a ClientError to those who ask for that", async () => {
    const failure = new ClientError(getOrder, Status.NOT_FOUND, "no such order");
    const { call } = aNiceCall(getOrder, false, () => Promise.reject(failure));
    const error = await returned(clientMiddleware(OrderService)(call, {})).catch((thrown) => thrown);
    expect(error).toBeInstanceOf(ClientError);
    expect(error).toMatchObject({ name: "RpcError", code: Status.NOT_FOUND, details: "no such order" });
  });
});
