import { fail } from "bowline";
import type { OrderItem } from "../../../gen/shop/orders/v1/orders.ts";

/** Bounds that keep every total inside an int64. */
const MOST_ITEMS = 100;
const MOST_OF_ONE = 10_000;
const DEAREST_CENTS = 1_000_000_000n;

/** Refuses items that cannot be ordered, and says all that is wrong with them. */
export function checkItems(items: readonly OrderItem[]): void {
  const problems = items.flatMap((item, index) => itemProblems(item).map((problem) => `items[${index}].${problem}`));
  if (items.length === 0) problems.push("items must not be empty");
  if (items.length > MOST_ITEMS)
    fail("INVALID_ARGUMENT", `items must be at most ${MOST_ITEMS}; they are ${items.length}`);
  if (problems.length > 0) fail("INVALID_ARGUMENT", problems.join("; "));
}

/** What the items cost together, in cents. */
export function totalOf(items: readonly OrderItem[]): bigint {
  return items.reduce((sum, { quantity, unitPriceCents }) => sum + BigInt(quantity) * unitPriceCents, 0n);
}

function itemProblems({ sku, quantity, unitPriceCents }: OrderItem): string[] {
  const problems: string[] = [];
  if (sku === "") problems.push("sku must not be empty");
  if (quantity < 1 || quantity > MOST_OF_ONE)
    problems.push(`quantity must be from 1 to ${MOST_OF_ONE}; it is ${quantity}`);
  if (unitPriceCents < 0n || unitPriceCents > DEAREST_CENTS)
    problems.push(`unit_price_cents must be from 0 to ${DEAREST_CENTS}; it is ${unitPriceCents}`);
  return problems;
}
