import { type Contract, isContract } from "../../contract/contract.ts";
import {
  checkOptions,
  type Filled,
  isCount,
  isFunction,
  isSpan,
  type OptionCheck,
  show,
} from "../../core/check-options.ts";

/**
 * How deep a check looks. `deep`: at something the service cannot do without, such as its database; while it fails,
 * services are NOT_SERVING. `business`: it does what a user would, such as reading an order; it is reported and
 * changes nothing, and it runs only when it is asked for.
 */
export type CheckDepth = "deep" | "business";

/** What a check is given. */
export interface HealthCheckContext {
  /** Aborts when the time is up, or the server drains. */
  readonly signal: AbortSignal;
}

/** Looks whether something works. It fails if it throws, rejects or returns `false`; all else it returns is ignored. */
export type HealthCheck = (context: HealthCheckContext) => unknown;

/** How a check is run, and what depends on it. */
export interface HealthCheckOptions {
  /** How deep it looks. Default: `"deep"`. */
  readonly depth?: CheckDepth | undefined;
  /**
   * Contracts of the services that cannot do without it, for deep checks: NOT_SERVING while it fails. The server as a
   * whole, `""` and `/readyz`, is so in any case. The server does not listen with a check of a service that was not
   * added. Default: every service.
   */
  readonly services?: readonly Contract[] | undefined;
  /**
   * How long a run may take, in milliseconds; then its signal aborts, it counts as failed, and what it still comes to
   * is dropped. Default: 1,000, the patience of Kubernetes' own probes.
   */
  readonly timeoutMs?: number | undefined;
  /**
   * How long after one run the next may begin, in milliseconds, however many ask meanwhile. Deep checks do run then,
   * since whoever watches a service wants to be told. While three runs go on after their time was up, which take
   * connections of a pool, say, the next waits until one of them ends, a minute at most. Default: 5,000.
   */
  readonly intervalMs?: number | undefined;
  /**
   * How many runs in a row must fail before a check that has passed counts as failing. Default: 1, since Kubernetes
   * and load balancers have thresholds of their own; clients that watch gRPC's health service have none.
   */
  readonly failureThreshold?: number | undefined;
}

/** A check with all that is said about it. */
export interface NamedCheck extends Filled<Omit<HealthCheckOptions, "services">> {
  readonly name: string;
  readonly run: HealthCheck;
  /** The names of the services that depend on it; undefined for all of them. */
  readonly services: ReadonlySet<string> | undefined;
  readonly onDemand: boolean;
}

/** What probes call the server itself. */
export const SERVER_ENTRY = "server";

const OPTIONS: Readonly<Record<keyof HealthCheckOptions, OptionCheck>> = {
  depth: (value) =>
    value === "deep" || value === "business" ? undefined : `must be "deep" or "business"; it is ${show(value)}`,
  services: (value) =>
    Array.isArray(value) && value.length > 0 && value.every(isContract)
      ? undefined
      : "must be an array of contracts, such as [OrderService]: each the service's value out of its .contract.ts",
  timeoutMs: isSpan,
  intervalMs: isSpan,
  failureThreshold: isCount,
};

/** What a check is added to. */
export interface CheckPlace {
  /** Names that other checks have. */
  readonly taken: readonly string[];
  /** The services that there are, if no further one is to be expected. */
  readonly served?: Pick<ReadonlySet<string>, "has"> | undefined;
}

/**
 * Checks a check, and fills in what was not said.
 *
 * @throws TypeError that lists every problem.
 */
export function resolveCheck(
  name: string,
  run: HealthCheck,
  options: HealthCheckOptions,
  { taken, served }: CheckPlace,
): NamedCheck {
  const problems = [...nameProblems(name, taken), ...runProblems(run), ...checkOptions(options, OPTIONS)];
  if (served && Array.isArray(options?.services)) problems.push(...unserved(namesOf(options.services), served));
  if (options?.depth === "business" && options.services !== undefined) {
    problems.push("services says nothing about a business check: no service depends on it");
  }
  if (problems.length > 0) throw new TypeError(`health.check(${show(name)}): ${problems.join("; ")}`);
  const { depth = "deep", services, timeoutMs = 1_000, intervalMs = 5_000, failureThreshold = 1 } = options;
  return {
    ...{ name, run, depth, timeoutMs, intervalMs, failureThreshold },
    services: services && new Set(namesOf(services)),
    onDemand: depth === "business",
  };
}

function namesOf(services: readonly Contract[]): string[] {
  return services.filter(isContract).map(({ name }) => name);
}

/**
 * What is wrong with services that a check names and the server does not have: it would take nothing down, and nobody
 * would know.
 */
export function unserved(names: Iterable<string>, served: Pick<ReadonlySet<string>, "has">): string[] {
  const missing = [...names].filter((name) => !served.has(name));
  return missing.map((name) => `services has ${name}, which was not added to the server`);
}

function nameProblems(name: unknown, taken: readonly string[]): string[] {
  // It stands in URLs, and in lines of a text.
  if (typeof name !== "string" || !/^\w[\w./-]*$/.test(name)) {
    return ["the name must be of letters, digits, _, -, . and /, such as database"];
  }
  if (name === SERVER_ENTRY) return [`${SERVER_ENTRY} is what the server itself is called`];
  return taken.includes(name) ? ["there is a check of that name already"] : [];
}

function runProblems(run: unknown): string[] {
  const problem = isFunction(run);
  return problem ? [`the check ${problem}`] : [];
}
