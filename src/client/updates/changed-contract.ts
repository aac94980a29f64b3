import { type Contract, checkContract, checkedContract } from "../../contract/contract.ts";
import type { Problem } from "../../contract/value-checks.ts";
import { changesShape } from "./change-shapes.ts";
import { checkShape, type Fields } from "./check-changes.ts";

/**
 * A contract with what an update says in place of what the contract says.
 *
 * @throws TypeError that lists every problem of the changes, and of what they make of the contract.
 */
export function changedContract(said: Contract, changes: unknown): Contract {
  const { sound, problems } = checkShape(changes, changesShape(said));
  const { service, methods } = said;
  const changed = { ...said, ...(merged({ service, methods }, sound) as Pick<Contract, "service" | "methods">) };
  const told = new Set(problems.map(({ path }) => path.join(".")));
  const found = [...problems, ...checkContract(changed).filter(({ path }) => !told.has(path.join(".")))];
  if (found.length > 0) throw new TypeError(describe(said.name, found));
  return checkedContract(changed);
}

/** As JSON merge patch (RFC 7396) has it: `null` takes away, and lists are replaced as a whole. */
function merged(said: Fields, changes: Fields): Fields {
  const result: Record<string, unknown> = { ...said };
  for (const [name, value] of Object.entries(changes)) {
    if (value === null) delete result[name];
    else result[name] = isNested(value) ? merged(own(said, name), value) : value;
  }
  return result;
}

function isNested(value: unknown): value is Fields {
  return typeof value === "object" && !Array.isArray(value);
}

/** A method may be called `toString`. */
function own(said: Fields, name: string): Fields {
  return Object.hasOwn(said, name) ? ((said[name] ?? {}) as Fields) : {};
}

function describe(service: string, problems: readonly Problem[]): string {
  const lines = problems.map(({ path, message }) => `  ${path.join(".") || "the changes"}: ${message}`);
  return `updatePolicies(${service}): ${problems.length} problem(s), and nothing is changed\n${lines.join("\n")}`;
}
