import { checkOptions, type Filled, isDelay, type OptionCheck, show } from "../core/check-options.ts";
import type { ServerOptions } from "./server-options.ts";

/** How a drain goes. */
export interface DrainOptions {
  /**
   * How long it may take once the delay is over, in milliseconds; 0 breaks everything off at once, `Infinity` nothing
   * ever. Default: `drainTimeoutMs`, else 30,000.
   */
  readonly timeoutMs?: number | undefined;
  /** How long it goes on serving after it has said NOT_SERVING, in milliseconds. Default: `drainDelayMs`, else 0. */
  readonly delayMs?: number | undefined;
}

/** The longest that a drain takes unless said otherwise, in milliseconds. */
const DEFAULT_TIMEOUT_MS = 30_000;

const OPTIONS: Readonly<Record<keyof DrainOptions, OptionCheck>> = {
  timeoutMs: (value) =>
    typeof value === "number" && value >= 0 ? undefined : `must be zero or greater; it is ${show(value)}`,
  delayMs: isDelay,
};

/**
 * Checks how a drain is to go, and fills in what was not said.
 *
 * @param server what the server was made with.
 * @throws TypeError that lists every problem.
 */
export function resolveDrain(options: DrainOptions, server: ServerOptions): Filled<DrainOptions> {
  const problems = checkOptions(options, OPTIONS);
  if (problems.length > 0) throw new TypeError(`drain: ${problems.join("; ")}`);
  const { drainTimeoutMs = DEFAULT_TIMEOUT_MS, drainDelayMs = 0 } = server;
  const { timeoutMs = drainTimeoutMs, delayMs = drainDelayMs } = options;
  return { timeoutMs, delayMs };
}
