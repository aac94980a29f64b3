import { checkOptions, type OptionCheck, show } from "../core/check-options.ts";

/** Arguments of an operator by their names, each with its check. */
export type Arguments = Readonly<Record<string, readonly [value: unknown, check: OptionCheck]>>;

/**
 * Checks what an operator is called with.
 *
 * @param problems what else is wrong.
 * @throws TypeError that lists every problem.
 */
export function checkArguments(
  operator: string,
  given: Arguments,
  options: unknown,
  checks: Readonly<Record<string, OptionCheck>>,
  problems: readonly string[] = [],
): void {
  const wrong = Object.entries(given).flatMap(([name, [value, check]]) => {
    const problem = check(value);
    return problem ? [`${name} ${problem}`] : [];
  });
  const all = [...wrong, ...checkOptions(options, checks), ...problems];
  if (all.length > 0) throw new TypeError(`${operator}: ${all.join("; ")}`);
}

/** What can be read with `for await`. An array, and what else is no stream, becomes one with `Readable.from`. */
export const isSource: OptionCheck = (value) => {
  const read = (value as Partial<AsyncIterable<unknown>> | undefined | null)?.[Symbol.asyncIterator];
  return typeof read === "function" ? undefined : `must be an AsyncIterable; it is ${described(value)}`;
};

/** A duration in milliseconds; Infinity for no limit. */
export const isDuration: OptionCheck = (value) =>
  typeof value === "number" && value > 0
    ? undefined
    : `must be a number of milliseconds greater than zero; it is ${show(value)}`;

/** What holds for every operator. */
export const EVERY = {
  signal: (value) => (value instanceof AbortSignal ? undefined : `must be an AbortSignal; it is ${described(value)}`),
} as const satisfies Record<string, OptionCheck>;

/** What holds for those that look at a clock. */
export const TIMED = {
  ...EVERY,
  clock: (value) =>
    typeof (value as { setTimer?: unknown } | null)?.setTimer === "function"
      ? undefined
      : `must be a Clock; it is ${described(value)}`,
} as const satisfies Record<string, OptionCheck>;

/** Short: what is no source may be a message of any size, and some objects cannot be made into text. */
function described(value: unknown): string {
  return typeof value === "object" && value !== null
    ? `an object (${value.constructor?.name ?? "Object"})`
    : show(value);
}
