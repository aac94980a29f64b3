import type { Method } from "../core/method.ts";
import { parseStatusName } from "../core/status.ts";
import type { HeartbeatPolicy, MethodPolicy, ResumePolicy } from "./policy.ts";
import { atLeast, atMost, checkBackoff, checkCodes, count, type Problem } from "./value-checks.ts";

/** Timers tick once a millisecond and wait for a busy process; what is shorter would be taken for a stall. */
const LEAST_INTERVAL_MS = 10;

/** The names of fields that each policy takes, and whether it can do without. */
const FIELDS = {
  resume: { requestField: true, cursorField: true, progressField: false, limitField: false },
  heartbeat: { field: true },
  batch: { requestsField: true, responsesField: true, responseField: false, statusField: false },
} as const;

/** All that is wrong with what a method says about its stream, but for the names of fields. */
export function checkStreams(policy: MethodPolicy, method: Pick<Method, "kind" | "idempotency">): Problem[] {
  const { resume, heartbeat, timeoutMs } = policy;
  return [
    ...checkResume(resume),
    ...(resume ? checkReopening(method) : []),
    ...checkHeartbeat(heartbeat),
    ...atMost(["heartbeat", "intervalMs"], heartbeat?.intervalMs, "the timeout", timeoutMs),
    ...(heartbeat ? checkQuietness(method) : []),
  ];
}

/** All that is wrong with a resume policy by itself, but for the names of fields. */
export function checkResume(resume: Omit<ResumePolicy, "requestField" | "cursorField"> | undefined): Problem[] {
  if (!resume) return [];
  return [
    ...checkCodes(["resume", "codes"], resume.codes),
    ...checkExpiry(resume.codes ?? []),
    ...count(["resume", "maxFailures"], resume.maxFailures),
    ...checkBackoff("resume", resume),
  ];
}

/** Reopening where a position has expired would ask for it for ever, or leave a gap (rule S3). */
function checkExpiry(codes: readonly string[]): Problem[] {
  return codes.flatMap((code, index) => {
    if (parseStatusName(code) !== "OUT_OF_RANGE") return [];
    const message = "OUT_OF_RANGE says that the position has expired, and never reopens: leave it out";
    return [{ path: ["resume", "codes", String(index)], message }];
  });
}

/** All that is wrong with a heartbeat policy by itself, but for the name of its field. */
export function checkHeartbeat(heartbeat: Omit<HeartbeatPolicy, "field"> | undefined): Problem[] {
  if (!heartbeat) return [];
  return [
    ...atLeast(["heartbeat", "intervalMs"], heartbeat.intervalMs, LEAST_INTERVAL_MS, "which timers can keep"),
    ...count(["heartbeat", "missed"], heartbeat.missed),
  ];
}

/**
 * Fields that a policy should name and does not. What they are is for the generator to check, which knows the messages
 * and says it better; this is for contracts that are written by hand.
 */
export function checkFieldNames(policy: MethodPolicy): Problem[] {
  return (["resume", "heartbeat", "batch"] as const).flatMap((mechanism) => {
    const names = policy[mechanism] as Readonly<Record<string, unknown>> | undefined;
    if (!names) return [];
    return Object.entries(FIELDS[mechanism]).flatMap(([key, required]) => {
      const name = names[key];
      if ((name === undefined && !required) || (typeof name === "string" && name !== "")) return [];
      return [{ path: [mechanism, key], message: `must name a field; it is ${name === "" ? '""' : String(name)}` }];
    });
  });
}

/** Reopening is calling again, with another request. */
function checkReopening({ kind, idempotency }: Pick<Method, "kind" | "idempotency">): Problem[] {
  const path = ["resume"];
  if (kind !== "server-stream") {
    return [{ path, message: `resume on a ${kind} method: only a server-stream can be resumed` }];
  }
  if (idempotency !== "UNKNOWN") return [];
  const message =
    "resume on a method that is not safe to repeat: set idempotency_level; no key makes another request safe";
  return [{ path, message }];
}

/** A stream of responses can be quiet whatever its requests do. */
function checkQuietness({ kind }: Pick<Method, "kind">): Problem[] {
  if (kind === "server-stream" || kind === "bidi") return [];
  const message = `heartbeat on a ${kind} method: only a stream of responses can have heartbeats`;
  return [{ path: ["heartbeat"], message }];
}
