import { parseStatusName } from "../core/status.ts";
import type { BackoffOptions, Jitter } from "../policy/backoff.ts";

const JITTERS: Record<Jitter, true> = { full: true, equal: true, decorrelated: true, a6: true };

/** One thing that is wrong with a policy. */
export interface Problem {
  /** Where, as the record's keys from the outside in: `["retry", "maxAttempts"]`. */
  readonly path: readonly string[];
  /** What is wrong and what to do. */
  readonly message: string;
}

/** The first attempt counts (rule R1). */
export function checkAttempts(path: readonly string[], attempts: number | undefined): Problem[] {
  if (attempts === undefined || (Number.isInteger(attempts) && attempts >= 2)) return [];
  return [{ path, message: `must be a whole number of at least 2, the first attempt included; it is ${attempts}` }];
}

/** Names of statuses that are failures. */
export function checkCodes(path: readonly string[], codes: readonly string[] | undefined): Problem[] {
  return (codes ?? []).flatMap((code, index) => {
    const name = parseStatusName(code);
    const at = [...path, String(index)];
    if (name === undefined) return [{ path: at, message: `gRPC has no status "${code}"` }];
    if (name === "OK") return [{ path: at, message: "OK is no failure" }];
    return [];
  });
}

/** Settings of which some, or all, may be left unsaid. */
type Unsaid<Settings> = { readonly [Name in keyof Settings]?: Settings[Name] | undefined };

/** How the waits between attempts grow, in the policy of that name. */
export function checkBackoff(policy: string, backoff: Unsaid<BackoffOptions>): Problem[] {
  const { initialBackoffMs, maxBackoffMs, multiplier, jitter } = backoff;
  return [
    ...positive([policy, "initialBackoffMs"], initialBackoffMs),
    ...positive([policy, "maxBackoffMs"], maxBackoffMs),
    ...positive([policy, "multiplier"], multiplier),
    ...checkJitter([policy, "jitter"], jitter),
    ...atMost([policy, "initialBackoffMs"], initialBackoffMs, "the greatest backoff", maxBackoffMs),
  ];
}

function checkJitter(path: readonly string[], jitter: Jitter | undefined): Problem[] {
  return oneOf(path, jitter, Object.keys(JITTERS));
}

/** One of a few words. */
export function oneOf(path: readonly string[], value: string | undefined, words: readonly string[]): Problem[] {
  if (value === undefined || words.includes(value)) return [];
  return [{ path, message: `must be one of ${words.join(", ")}; it is ${JSON.stringify(value)}` }];
}

/** A duration, or a factor. */
export function positive(path: readonly string[], value: number | undefined): Problem[] {
  if (value === undefined || value > 0) return [];
  return [{ path, message: `must be greater than zero; it is ${withUnit(path, value)}` }];
}

/** Whole, at least 1 unless said otherwise. */
export function count(path: readonly string[], value: number | undefined, least = 1): Problem[] {
  if (value === undefined || (Number.isInteger(value) && value >= least)) return [];
  return [{ path, message: `must be a whole number of at least ${least}; it is ${value}` }];
}

/** What is limited by something else that is said, and would have no effect beyond that. */
export function atMost(
  path: readonly string[],
  value: number | undefined,
  what: string,
  most: number | undefined,
): Problem[] {
  if (value === undefined || most === undefined || !(value > most)) return [];
  return [
    { path, message: `must not be greater than ${what}, ${withUnit(path, most)}; it is ${withUnit(path, value)}` },
  ];
}

/** A duration that may be nothing. */
export function notNegative(path: readonly string[], value: number | undefined): Problem[] {
  if (value === undefined || value >= 0) return [];
  return [{ path, message: `must not be negative; it is ${withUnit(path, value)}` }];
}

function withUnit(path: readonly string[], value: number): string {
  return path.at(-1)?.endsWith("Ms") ? `${value} ms` : String(value);
}

/** What makes no sense below something. */
export function atLeast(path: readonly string[], value: number | undefined, least: number, why: string): Problem[] {
  if (value === undefined || value >= least) return [];
  return [{ path, message: `must be at least ${withUnit(path, least)}, ${why}; it is ${withUnit(path, value)}` }];
}

/** A share. */
export function ratio(path: readonly string[], value: number | undefined): Problem[] {
  if (value === undefined || (value > 0 && value <= 1)) return [];
  return [{ path, message: `must be a ratio above 0 and at most 1; it is ${value}` }];
}
