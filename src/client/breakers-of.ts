import type { Breakers } from "../policy/breaker-set.ts";

const kept = new WeakMap<object, Breakers>();

/** Remembers the breakers of a client or middleware. */
export function keepBreakers<T extends object>(owner: T, breakers: Breakers): T {
  kept.set(owner, breakers);
  return owner;
}

/**
 * The breakers of a client or middleware, to look at and to steer: `breakersOf(orders).forceOpen()`.
 *
 * @param owner what `createClient` or `clientMiddleware` made.
 * @throws TypeError for anything else.
 */
export function breakersOf(owner: object): Breakers {
  const breakers = kept.get(owner);
  if (!breakers) throw new TypeError("breakersOf: this is nothing that createClient or clientMiddleware made");
  return breakers;
}
