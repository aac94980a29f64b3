import type { Contract } from "../contract/contract.ts";
import { authenticationProblems } from "./authentication/options.ts";
import { storeProblems } from "./idempotency/options.ts";
import type { ServerOptions } from "./server-options.ts";
import { type RequestCheck, requestChecks } from "./validation/request-checks.ts";
import { isValidation } from "./validation/validation.ts";

/** Of a server's options those that some contracts need; of each, `false` is to do without. */
export type NeededOptions = Pick<ServerOptions, "idempotency" | "authenticate" | "validation">;

/** What a contract's promises are kept with. */
export interface MetNeeds {
  /** What is wrong with requests, by the paths of the methods whose requests have any constraint. */
  readonly checks: ReadonlyMap<string, RequestCheck>;
  /** What is missing; empty if nothing is. What is wrong with the options themselves is left to their own checks. */
  readonly problems: readonly string[];
}

/**
 * Sees to it that a server has what a contract promises: a store for its idempotency keys, authentication for its
 * `auth`, and what evaluates its constraints.
 */
export function meetNeeds(contract: Contract, { idempotency, authenticate, validation }: NeededOptions): MetNeeds {
  const { checks, problems } = meetConstraints(contract, validation);
  const missing = [...storeProblems(contract, idempotency), ...authenticationProblems(contract, authenticate)];
  return { checks, problems: [...missing, ...problems] };
}

function meetConstraints(contract: Contract, validation: NeededOptions["validation"]): MetNeeds {
  const unfit = validation !== undefined && isValidation(validation) !== undefined;
  try {
    return { checks: requestChecks(contract, unfit ? false : validation), problems: [] };
  } catch (error) {
    const where = `${contract.name}: `;
    if (!(error instanceof TypeError && error.message.startsWith(where))) throw error;
    return { checks: new Map(), problems: [error.message.slice(where.length)] };
  }
}
