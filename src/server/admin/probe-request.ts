import type { Probe, ProbeDepth, ProbeQuestion } from "./probes.ts";

/** What an HTTP request asks for, and how it wants to be told. */
export interface ProbeRequest {
  readonly question: ProbeQuestion;
  /** Whether each check is to be named, also when all is well. */
  readonly verbose: boolean;
  readonly json: boolean;
}

/** A request that is not answered, and why. */
export interface Refusal {
  readonly code: 400 | 404 | 405;
  readonly text: string;
}

const PROBES: ReadonlyMap<string, Probe> = new Map(
  (["livez", "readyz", "startupz"] as const).map((probe) => [`/${probe}`, probe]),
);

/** Reads a request. */
export function parseProbe(method: string, url: string, accept: string): ProbeRequest | Refusal {
  const cut = url.indexOf("?");
  const probe = PROBES.get(cut < 0 ? url : url.slice(0, cut));
  if (!probe) return { code: 404, text: `not found; there are ${[...PROBES.keys()].join(", ")}` };
  if (method !== "GET" && method !== "HEAD") return { code: 405, text: "only GET and HEAD" };
  const query = new URLSearchParams(cut < 0 ? "" : url.slice(cut + 1));
  const depth = query.get("depth") ?? "deep";
  if (!isDepth(depth)) return { code: 400, text: "depth must be shallow, deep or business" };
  return {
    question: { probe, depth, exclude: new Set(query.getAll("exclude")) },
    verbose: query.has("verbose"),
    json: /\bapplication\/json\b/i.test(accept),
  };
}

function isDepth(text: string): text is ProbeDepth {
  return text === "shallow" || text === "deep" || text === "business";
}
