import { warn } from "../core/warning.ts";

/** How many methods a warning names: paths that nobody serves are of any number. */
const MOST_NAMED = 10;

/**
 * Says in a warning of the process, of one line, on which calls a drain gave up that nobody gets the result of.
 *
 * @param methods the path of each call's method.
 */
export function warnOfAbandoned(methods: readonly string[], timeoutMs: number): void {
  if (methods.length === 0) return;
  const calls = methods.length === 1 ? "1 call whose handler" : `${methods.length} calls whose handlers`;
  warn(`the drain gave up on ${calls} had not ended after ${timeoutMs} ms`, countsOf(methods));
}

/** `/shop.orders.v1.OrderService/GetOrder (5)`, and so on; first of what there is most. */
function countsOf(methods: readonly string[]): string {
  const counts = new Map<string, number>();
  for (const method of methods) counts.set(method, (counts.get(method) ?? 0) + 1);
  const named = [...counts].sort(([, a], [, b]) => b - a).slice(0, MOST_NAMED);
  const further = counts.size - named.length;
  return [
    ...named.map(([method, count]) => `${method} (${count})`),
    ...(further > 0 ? [`and of ${further} further methods`] : []),
  ].join(", ");
}
