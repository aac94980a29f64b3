import type { Contract } from "../../contract/contract.ts";
import { checkOptions, isPositive, type OptionCheck, show } from "../../core/check-options.ts";
import { methodsOf } from "../contract-methods.ts";
import type { IdempotencyStore } from "./store.ts";

/** How a server recognises repetitions of calls with an idempotency key. */
export interface IdempotencyOptions {
  /** Where claims and answers are kept; one for all servers of the service. No default. */
  readonly store: IdempotencyStore;
  /**
   * How long a claim holds unless it is renewed, in milliseconds, at least 100; it is renewed each third of it. So long
   * a repetition waits when a server has crashed, and so long a server may stand still before another takes its call
   * over. Default: 10,000.
   */
  readonly leaseMs?: number | undefined;
}

/** How long a claim holds where nobody says. */
export const DEFAULT_LEASE_MS = 10_000;

/** How long an answer is kept where the contract does not say: a day, as Stripe does. */
export const DEFAULT_TTL_MS = 86_400_000;

/** Below it, a machine that is busy for a moment would lose its claims. */
const LEAST_LEASE_MS = 100;

/** What they must be. */
export const KEEPING: Readonly<Record<keyof IdempotencyOptions, OptionCheck>> = {
  store: (value) =>
    ["claim", "renew", "complete", "release"].every((name) => typeof Reflect.get(Object(value), name) === "function")
      ? undefined
      : "must be a store, such as memoryIdempotency()",
  leaseMs: (value) => {
    const problem = isPositive(value);
    if (problem) return problem;
    return Number.isFinite(value) && (value as number) >= LEAST_LEASE_MS
      ? undefined
      : `must be finite and at least ${LEAST_LEASE_MS}; it is ${show(value)}`;
  },
};

/** All that is wrong with a server's idempotency; `false` is for tests, where each call is to reach its handler. */
export function idempotencyProblems(options: IdempotencyOptions | false | undefined): string[] {
  if (options === undefined || options === false) return [];
  if (typeof options !== "object" || options === null) {
    return [`idempotency must be { store, leaseMs }, or false; it is ${show(options)}`];
  }
  const problems = checkOptions(options, KEEPING, "idempotency.");
  if (options.store === undefined) problems.push("idempotency.store is missing: say where answers are kept");
  return problems;
}

/**
 * How long the answers of the contract's marked methods are kept, in milliseconds, by path. Of streams there is no one
 * answer to keep.
 */
export function markedMethods(contract: Contract): ReadonlyMap<string, number> {
  const entries = methodsOf(contract).flatMap(({ method, policy: { idempotencyKey } }) => {
    return idempotencyKey && method.kind === "unary"
      ? [[method.path, idempotencyKey.ttlMs ?? DEFAULT_TTL_MS] as const]
      : [];
  });
  return new Map(entries);
}

/** What a server lacks that has a contract with keys and nothing that says where answers are kept. */
export function storeProblems(contract: Contract, options: IdempotencyOptions | false | undefined): string[] {
  const paths = options === undefined ? [...markedMethods(contract).keys()] : [];
  if (paths.length === 0) return [];
  return [
    `the contract has an idempotency_key for ${paths.join(", ")}, so clients repeat it; give the server { idempotency: { store } } that all of its replicas share, such as memoryIdempotency() for a single process`,
  ];
}
