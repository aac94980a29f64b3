import { checkOptions, inOptionNames, type OptionCheck, show } from "../core/check-options.ts";
import type { Problem } from "./value-checks.ts";

type Checks = Readonly<Record<string, OptionCheck>>;

/** A number; what it may be is for the policy's own check. */
export const isNumber: OptionCheck = (value) =>
  typeof value === "number" ? undefined : `must be a number; it is ${show(value)}`;

/** Those of the options that are of the right kind. */
export function wellTyped<T extends object>(options: T, checks: Checks): Partial<T> {
  const entries = Object.entries(options ?? {}).filter(([name, value]) => checks[name]?.(value) === undefined);
  return Object.fromEntries(entries) as Partial<T>;
}

/**
 * All that is wrong with options that are a policy: values of another kind, and what the policy's own check says of the
 * others.
 *
 * @param within where the options are, such as `retryBudget.`.
 */
export function optionProblems<T extends object>(
  options: T,
  checks: Checks,
  check: (policy: Partial<T>) => readonly Problem[],
  within = "",
): string[] {
  const found = valueProblems(options, checks, check).map(({ path: [, ...names], message }) =>
    inOptionNames(names.length > 0 ? `${within}${names.join(".")} ${message}` : message),
  );
  return [...checkOptions(options, checks, within), ...found];
}

/**
 * What a policy's own check says of options, but for those of another kind, which `checkOptions` tells. Such a number
 * is NaN to it: it has been said, and is neither too large nor too small for another one.
 */
export function valueProblems<T extends object>(
  options: T,
  checks: Checks,
  check: (policy: Partial<T>) => readonly Problem[],
): Problem[] {
  const known = wellTyped(options, checks);
  const unfit = Object.keys(options ?? {}).filter((name) => !Object.hasOwn(known, name));
  const numbers = unfit.filter((name) => checks[name] === isNumber && Reflect.get(options, name) !== undefined);
  const said = { ...known, ...Object.fromEntries(numbers.map((name) => [name, Number.NaN])) };
  return check(said).filter(({ path: [, name = ""] }) => !unfit.includes(name));
}
