import {
  checkOptions,
  isBoolean,
  isCount,
  isObject,
  isPositive,
  type OptionCheck,
  show,
} from "../core/check-options.ts";
import { systemClock } from "../core/clock.ts";
import { type SettleAllOptions, type SettledAll, type SettleTask, Settling } from "./settling.ts";

const CHECKS: Readonly<Record<keyof SettleAllOptions, OptionCheck>> = {
  timeoutMs: isPositive,
  maxConcurrent: isCount,
  signal: (value) =>
    typeof Reflect.get(Object(value), "addEventListener") === "function"
      ? undefined
      : `must be an AbortSignal; it is ${show(value)}`,
  cancelOnError: (value) =>
    typeof value === "function" || isBoolean(value) === undefined
      ? undefined
      : `must be true, false or a function; it is ${show(value)}`,
  clock: isObject,
};

/**
 * Makes calls that belong together, and tells of each what became of it:
 * `settleAll({ user: (options) => users.getUser({ userId }, options), … }, { timeoutMs: 500 })`.
 *
 * It never rejects for a call's failure: that is the call's `error`, an `RpcError` whatever was thrown. When the time of
 * all is over, or a failure cancels the others, a call that is under way ends with `DEADLINE_EXCEEDED` or `CANCELLED`,
 * even if it does not look at its signal; one that has not begun is not made, and says so with `DEADLINE_BEFORE_SEND`
 * or `CANCELLED` and `attempts` 0.
 *
 * @throws the reason of the caller's own signal when it aborts before all calls have ended; TypeError that lists
 *   everything that is wrong with calls and options.
 */
export async function settleAll<const Tasks extends Readonly<Record<string, SettleTask>>>(
  tasks: Tasks,
  options: SettleAllOptions = {},
): Promise<SettledAll<Tasks>> {
  const problems = [...checkTasks(tasks), ...checkOptions(options, CHECKS)];
  if (problems.length > 0) throw new TypeError(`settleAll: ${problems.join("; ")}`);
  const settling = new Settling(Object.entries(tasks), options, options.clock ?? systemClock);
  return (await settling.outcome) as SettledAll<Tasks>;
}

function checkTasks(tasks: unknown): string[] {
  if (isObject(tasks) || Array.isArray(tasks))
    return [`the calls must be an object of functions; they are ${show(tasks)}`];
  return Object.entries(tasks as object).flatMap(([key, task]) =>
    typeof task === "function"
      ? []
      : [`${JSON.stringify(key)} must be a function that makes the call, (options) => …; it is ${show(task)}`],
  );
}
