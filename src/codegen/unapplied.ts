import type { MethodPolicy } from "../contract/policy.ts";

/**
 * Policies that this version checks and carries in the contract, and does not apply yet. Each use is noted when a
 * contract is generated.
 */
export const UNAPPLIED: ReadonlySet<keyof MethodPolicy> = new Set(["hedge", "idempotencyKey"]);
