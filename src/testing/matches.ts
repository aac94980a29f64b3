/**
 * Whether a message has all that a partial one says. Messages inside are compared the same way; of lists, length and
 * every element; of bytes and dates, what they hold. As in any partial message, a number or text may stand for a
 * bigint.
 */
export function matches(actual: unknown, partial: unknown): boolean {
  if (Object.is(actual, partial)) return true;
  if (typeof actual === "bigint") return isSameNumber(actual, partial);
  if (!isObject(actual) || !isObject(partial)) return false;
  if (ArrayBuffer.isView(actual) || Array.isArray(actual)) return sameElements(actual, partial);
  if (actual instanceof Date) return partial instanceof Date && Object.is(actual.getTime(), partial.getTime());
  return Object.entries(partial).every(([key, value]) => matches(Reflect.get(actual, key), value));
}

function isObject(value: unknown): value is object {
  return typeof value === "object" && value !== null;
}

function isSameNumber(actual: bigint, partial: unknown): boolean {
  // biome-ignore lint/suspicious/noDoubleEquals: 1n == 1 and 1n == "1", which is what is asked here
  return (typeof partial === "number" || typeof partial === "string") && partial !== "" && actual == (partial as never);
}

function sameElements(actual: object, partial: object): boolean {
  const [one, other] = [actual as ArrayLike<unknown>, partial as ArrayLike<unknown>];
  return one.length === other.length && Array.from(one).every((element, index) => matches(element, other[index]));
}
