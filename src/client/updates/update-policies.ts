import type { LivePolicies } from "./live-policies.ts";
import type { ClientBehind, PolicyChanges } from "./policy-changes.ts";

const kept = new WeakMap<object, LivePolicies>();

/** Remembers the policies of a client or middleware. */
export function keepPolicies<T extends object>(owner: T, policies: LivePolicies): T {
  kept.set(owner, policies);
  return owner;
}

/**
 * Changes what holds for the calls that a client or middleware begins from here on; those under way, streams too, keep
 * what they began with. `updatePolicies(orders, { methods: { getOrder: { retry: null, timeoutMs: 200 } } })`.
 *
 * Every update begins from the contract, setting by setting: what it names holds in place of what the contract says,
 * `null` takes a policy or setting away, and all else is as the contract says, whatever an earlier update said. So
 * `updatePolicies(orders)` goes back to the contract, and the same update twice is the same as once.
 *
 * What calls share goes on: breakers, queues, kept answers, the target's throttle and budget. A breaker whose policy
 * changes closes and counts anew, unless it was forced or disabled by hand; a default that is stated is no change. Those
 * that wait are let in at the end, by all bounds of the update at once.
 *
 * @param owner what `createClient` or `clientMiddleware` made.
 * @throws TypeError for anything else, and when an observer calls it in the middle of an update; and one that lists
 *   everything that is wrong with the changes, or that the contract and they make impossible together: then nothing is
 *   changed.
 */
export function updatePolicies<Owner extends object>(
  owner: Owner,
  changes: PolicyChanges<NoInfer<ClientBehind<Owner>>> = {},
): void {
  const policies = kept.get(owner);
  if (!policies) throw new TypeError("updatePolicies: this is nothing that createClient or clientMiddleware made");
  policies.update(changes);
}
