import { isText, type OptionCheck, show } from "../../core/check-options.ts";
import { systemClock } from "../../core/clock.ts";
import { type HealthCheck, type HealthCheckOptions, type NamedCheck, resolveCheck, unserved } from "./check-options.ts";
import { CheckRunner, type HealthCheckResult } from "./check-runner.ts";

/** What a service can be, in the words of gRPC's health protocol. */
export type ServingStatus = "SERVING" | "NOT_SERVING";

const isStatus: OptionCheck = (value) =>
  value === "SERVING" || value === "NOT_SERVING"
    ? undefined
    : `must be "SERVING" or "NOT_SERVING"; it is ${show(value)}`;

/**
 * How healthy a server's services are. `""` stands for the server as a whole. A service is SERVING if it was set so,
 * if every deep check that it depends on passes, and if the server does not drain.
 */
export class Health {
  readonly #checks: CheckRunner;
  /** The services that there are. */
  readonly #added = new Set<string>([""]);
  /** What was set. */
  readonly #set = new Map<string, ServingStatus>([["", "SERVING"]]);
  /** What is told. */
  readonly #told = new Map<string, ServingStatus>([["", "SERVING"]]);
  readonly #watchers = new Map<string, Set<() => void>>();
  #draining = false;

  /** @internal A server makes its own. */
  constructor(checks = new CheckRunner({ clock: systemClock })) {
    this.#checks = checks;
    checks.onChange = () => this.#updateAll();
  }

  /** @internal The server has the service: it is SERVING, unless something else was set before. */
  add(service: string): void {
    this.#added.add(service);
    if (!this.#set.has(service)) this.#set.set(service, "SERVING");
    this.#update(service);
  }

  /**
   * Sets a service's status, and tells whoever watches it. NOT_SERVING holds whatever its checks say; with SERVING they
   * decide. It may be set before the service is added; the server does not listen with one that was not. Without effect
   * once the server drains.
   *
   * @throws TypeError for what is no status, which would otherwise pass for SERVING, or no service's name, and, once the
   *   server serves an address, for a service that was not added: nothing would be taken out of service.
   */
  set(service: string, status: ServingStatus): void {
    const problems = Object.entries({ service: isText(service) ?? this.#isLate(service), status: isStatus(status) });
    const said = problems.flatMap(([name, problem]) => (problem ? [`${name} ${problem}`] : []));
    if (said.length > 0) throw new TypeError(`health.set: ${said.join("; ")}`);
    if (this.#draining) return;
    this.#set.set(service, status);
    this.#update(service);
  }

  /** A service's status, or undefined if the server does not know it. */
  get(service: string): ServingStatus | undefined {
    return this.#told.get(service);
  }

  /** Every service with its status. */
  list(): ReadonlyMap<string, ServingStatus> {
    return this.#told;
  }

  /**
   * Adds a check. It runs from the server's first address on; until it has passed for the first time, what
   * depends on it is NOT_SERVING.
   *
   * @param name what it is called on the admin port: letters, digits, `_`, `-`, `.` and `/`.
   * @param run looks whether something works: fails if it throws, rejects or returns `false`.
   * @throws TypeError that lists everything that is wrong, a name that is taken included, and, once the server serves
   *   an address, a service that was not added.
   */
  check(name: string, run: HealthCheck, options: HealthCheckOptions = {}): void {
    const taken = this.#checks.checks.map((check) => check.name);
    const served = this.#checks.started ? this.#added : undefined;
    this.#checks.add(resolveCheck(name, run, options, { taken, served }));
  }

  /** All that is wrong with checks and settings if no further service is added; empty if nothing is. */
  problems(): string[] {
    const checks = this.#checks.checks.flatMap(({ name, services = [] }) =>
      unserved(services, this.#added).map((problem) => `health.check("${name}"): ${problem}`),
    );
    const set = [...this.#set.keys()].flatMap((service) => {
      const problem = this.#isMissing(service);
      return problem ? [`health.set: service ${problem}`] : [];
    });
    return [...checks, ...set];
  }

  /** How each check stands, in the order in which they were added. Nothing runs for it. */
  results(): HealthCheckResult[] {
    return this.#checks.checks.map((check) => this.#checks.result(check));
  }

  /** Whether it says NOT_SERVING of everything because the server drains. */
  get draining(): boolean {
    return this.#draining;
  }

  /** Says NOT_SERVING of everything from now on, and runs no check any more. */
  shutDown(): void {
    this.#draining = true;
    this.#checks.stop();
    this.#updateAll();
  }

  /** Resolves when a service's status changes, or the signal aborts. */
  changed(service: string, signal: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      const watchers = this.#watchers.get(service) ?? new Set();
      this.#watchers.set(service, watchers);
      const wake = () => {
        watchers.delete(wake);
        if (watchers.size === 0) this.#watchers.delete(service);
        signal.removeEventListener("abort", wake);
        resolve();
      };
      watchers.add(wake);
      signal.addEventListener("abort", wake, { once: true });
      if (signal.aborted) wake();
    });
  }

  /** What a service was set to, whatever its checks say. */
  wasSet(service: string): ServingStatus | undefined {
    return this.#set.get(service);
  }

  /** What is wrong with a service for which no call of `add` is to be waited. */
  #isLate(service: string): string | undefined {
    return this.#checks.started ? this.#isMissing(service) : undefined;
  }

  /** What is wrong with a service if the server has all that it will have. */
  #isMissing(service: string): string | undefined {
    if (this.#added.has(service)) return undefined;
    const others = [...this.#added].map(show).join(", ");
    return `must be one that was added to the server, which has ${others}; it is ${show(service)}`;
  }

  #updateAll(): void {
    for (const service of this.#set.keys()) this.#update(service);
  }

  #update(service: string): void {
    const status = this.#statusOf(service);
    if (this.#told.get(service) === status) return;
    this.#told.set(service, status);
    for (const wake of [...(this.#watchers.get(service) ?? [])]) wake();
  }

  #statusOf(service: string): ServingStatus {
    const failing = (check: NamedCheck) =>
      dependsOn(service, check) && this.#checks.snapshot(check).status !== "passing";
    const down = this.#draining || this.#set.get(service) === "NOT_SERVING" || this.#checks.checks.some(failing);
    return down ? "NOT_SERVING" : "SERVING";
  }
}

function dependsOn(service: string, { depth, services }: NamedCheck): boolean {
  return depth === "deep" && (service === "" || !services || services.has(service));
}
