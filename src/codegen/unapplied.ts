import type { MethodPolicy, ServicePolicy } from "../contract/policy.ts";

/**
 * Policies that this version checks and carries in the contract, and does not apply yet. Each use is noted when a
 * contract is generated.
 */
const NAMES: readonly (keyof MethodPolicy | keyof ServicePolicy)[] = [];

/** Their names. */
export const UNAPPLIED: ReadonlySet<string> = new Set(NAMES);
