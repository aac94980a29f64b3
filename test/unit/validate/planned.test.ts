import { create, type DescMessage, toBinary } from "@bufbuild/protobuf";
import { protovalidate } from "bowline/validate";
import { expect, test } from "vitest";
import { OrderService } from "../../../gen/shop/orders/v1/orders.contract.ts";
import { DescriptorRegistry } from "../../../src/server/descriptor-registry.ts";

/** Counts how often it is read what rules the fields of a type have. */
function countReads({ fields }: DescMessage): () => number {
  let reads = 0;
  for (const { proto } of fields) {
    const { options } = proto;
    const get = () => {
      reads += 1;
      return options;
    };
    Object.defineProperty(proto, "options", { get });
  }
  return () => reads;
}

test("rules are read when the service is added, and by no request", () => {
  const validation = protovalidate();
  const { types } = new DescriptorRegistry([OrderService], validation.files);
  const [order, item] = ["CreateOrderRequest", "OrderItem"].map((name) => {
    return types.getMessage(`shop.orders.v1.${name}`) ?? expect.unreachable();
  });
  if (!order || !item) return expect.unreachable();
  const counts = [order, item].map(countReads);
  const check = validation.compile(types)(order);
  const read = counts.map((count) => count());
  expect(Math.min(...read)).toBeGreaterThan(0);
  const items = (count: number) => ({ customerId: "c-1", items: Array(count).fill({ sku: "a", quantity: 1 }) });
  const bytesOf = (request: Record<string, unknown>) => toBinary(order, create(order, request));
  expect(check(bytesOf(items(1)))).toEqual([]);
  expect(check(bytesOf({ items: [{}] })).length).toBeGreaterThan(1);
  // Of which the first violation alone is looked for.
  expect(check(bytesOf(items(2_000)))).toHaveLength(1);
  expect(counts.map((count) => count())).toEqual(read);
});
