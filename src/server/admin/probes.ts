import { type CheckDepth, type NamedCheck, SERVER_ENTRY } from "../health/check-options.ts";
import type { CheckRunner } from "../health/check-runner.ts";
import type { Health } from "../health/health.ts";

/** What the probes of Kubernetes and the like ask for. */
export type Probe = "livez" | "readyz" | "startupz";

/** How deep a probe is to look. */
export type ProbeDepth = "shallow" | CheckDepth;

/** What is asked. */
export interface ProbeQuestion {
  readonly probe: Probe;
  /** Of readyz alone: the others look as deep as they ever do. */
  readonly depth: ProbeDepth;
  /** Names of checks that are not to count. */
  readonly exclude: ReadonlySet<string>;
}

/** The server itself, or one of its checks. */
export interface ProbeEntry {
  readonly name: string;
  readonly status: "ok" | "failed" | "excluded";
  readonly durationMs?: number | undefined;
  readonly ageMs?: number | undefined;
  /** Why it failed, or its last run did. */
  readonly error?: string | undefined;
}

/** What there is to say. */
export interface ProbeAnswer {
  readonly probe: Probe;
  readonly ok: boolean;
  readonly entries: readonly ProbeEntry[];
  /** What was to be excluded, and is no check that was looked at. */
  readonly unmatched: readonly string[];
}

/** Answers probes: whether the process lives, whether it has started, whether it is ready for calls. */
export class Probes {
  readonly #health: Health;
  readonly #checks: CheckRunner;
  #startedUp = false;

  constructor(health: Health, checks: CheckRunner) {
    this.#health = health;
    this.#checks = checks;
  }

  async answer({ probe, depth, exclude }: ProbeQuestion): Promise<ProbeAnswer> {
    const checks = this.#checksFor(probe, depth);
    await Promise.all(checks.filter((check) => check.onDemand && !exclude.has(check.name)).map(this.#refreshed));
    const entries = [this.#server(probe), ...checks.map((check) => excluded(this.#entry(probe, check), exclude))];
    const unmatched = [...exclude].filter((name) => !checks.some((check) => check.name === name));
    return { probe, ok: entries.every(({ status }) => status !== "failed"), entries, unmatched };
  }

  readonly #refreshed = (check: NamedCheck) => this.#checks.refreshed(check);

  /** A dependency that is away is no reason to end the process, so that livez looks at none. */
  #checksFor(probe: Probe, depth: ProbeDepth): readonly NamedCheck[] {
    if (probe === "livez" || (probe === "readyz" && depth === "shallow")) return [];
    const deep = this.#checks.checks.filter((check) => check.depth === "deep");
    if (probe === "readyz") return depth === "business" ? this.#checks.checks : deep;
    this.#startedUp ||= this.#checks.started && deep.every((check) => this.#checks.snapshot(check).everPassed);
    return this.#startedUp ? [] : deep;
  }

  #server(probe: Probe): ProbeEntry {
    const error = this.#problem(probe);
    return { name: SERVER_ENTRY, status: error === undefined ? "ok" : "failed", error };
  }

  #problem(probe: Probe): string | undefined {
    if (probe === "livez") return undefined;
    if (probe === "readyz" && this.#health.draining) return "it is draining";
    if (!this.#checks.started) return "it serves no address yet";
    return probe === "readyz" && this.#health.wasSet("") === "NOT_SERVING" ? "it was set to NOT_SERVING" : undefined;
  }

  #entry(probe: Probe, check: NamedCheck): ProbeEntry {
    const { status, everPassed, durationMs, ageMs, failure } = this.#checks.snapshot(check);
    const ok = probe === "startupz" ? everPassed : status === "passing";
    const error = status === "pending" ? "no result yet" : failure;
    return { name: check.name, status: ok ? "ok" : "failed", durationMs, ageMs, error };
  }
}

function excluded(entry: ProbeEntry, exclude: ReadonlySet<string>): ProbeEntry {
  return exclude.has(entry.name) ? { ...entry, status: "excluded" } : entry;
}
