import type { ProbeAnswer, ProbeEntry } from "./probes.ts";

/**
 * An answer as Kubernetes' own servers give it: `ok`, or a line for each check when something failed or all of them
 * were asked for.
 */
export function probeText(answer: ProbeAnswer, verbose: boolean): string {
  if (answer.ok && !verbose) return "ok";
  const { probe, ok, entries, unmatched } = answer;
  const names = unmatched.map((name) => JSON.stringify(name)).join(", ");
  return [
    ...entries.map(line),
    ...(names === "" ? [] : [`warn: some checks cannot be excluded: no matches for ${names}`]),
    `${probe} check ${ok ? "passed" : "failed"}`,
    "",
  ].join("\n");
}

/** The same for programs; times in whole milliseconds. */
export function probeJson({ probe, ok, entries, unmatched }: ProbeAnswer): string {
  const rounded = (_key: string, value: unknown) => (typeof value === "number" ? Math.round(value) : value);
  return JSON.stringify({ probe, status: ok ? "ok" : "failed", checks: entries, unmatched }, rounded);
}

function line({ name, status, error, durationMs, ageMs }: ProbeEntry): string {
  const said = status === "excluded" ? "excluded: ok" : status;
  const why = error === undefined || status === "excluded" ? "" : `: ${error}`;
  const when =
    durationMs === undefined || ageMs === undefined
      ? ""
      : ` (${Math.round(durationMs)} ms, ${Math.round(ageMs)} ms ago)`;
  return `${status === "failed" ? "[-]" : "[+]"}${name} ${said}${why}${when}`;
}
