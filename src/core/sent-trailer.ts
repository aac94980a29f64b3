import { cannotBeSent, forbiddenKey, unsendable } from "./metadata-keys.ts";
import { fieldBytes, tooLarge } from "./metadata-size.ts";
import { encodeStatus, MOST_STATUS_BYTES, STATUS_DETAILS } from "./rich-status.ts";
import { cutText } from "./sent-text.ts";
import type { StatusDetailInit } from "./status-detail.ts";
import { detailProblems } from "./status-detail-codec.ts";

/** Trailers as a handler writes them; binary values under keys that end in `-bin`. */
export type TrailerInit = Readonly<Record<string, string | Uint8Array>>;

/** What the transport would refuse of trailers, when it is too late to tell the handler. */
export function trailerProblems(trailer: TrailerInit): string[] {
  const problems = Object.entries(trailer).flatMap(([key, value]) => {
    const problem = forbiddenKey(key) ?? unsendable(key, value);
    return problem ? [cannotBeSent("trailer", key, problem)] : [];
  });
  const large = problems.length === 0 && tooLarge(bytesOf(trailer));
  return large ? [`the trailer cannot be sent: ${large}`] : problems;
}

/** All that keeps the details of a status from being sent beside these trailers. */
export function detailsProblems(details: readonly StatusDetailInit[], trailer: TrailerInit = {}): string[] {
  if (!Array.isArray(details)) return ["statusDetails must be an array"];
  const twice = details.length > 0 && Object.keys(trailer).some((key) => key.toLowerCase() === STATUS_DETAILS);
  const problems = details.flatMap((detail, n) => detailProblems(detail, `statusDetails[${n}]`));
  return twice ? [`statusDetails and the trailer ${STATUS_DETAILS} are the same`, ...problems] : problems;
}

/** Trailers with a status's details among them, as far as there is room; undefined if there are none. */
export function withStatus(
  trailer: TrailerInit,
  status: { readonly code: number; readonly message: string },
  details: readonly StatusDetailInit[],
): TrailerInit | undefined {
  const bytes = details.length > 0 ? encodeStatus(status, details, bytesOf(trailer)) : undefined;
  const all = bytes ? { ...trailer, [STATUS_DETAILS]: bytes } : trailer;
  return Object.keys(all).length > 0 ? all : undefined;
}

/** As much of a status's text as there is room for beside the trailers that are given with it. */
export function sentText(text: string, trailer: TrailerInit = {}): string {
  return cutText(text, Math.max(LEAST_TEXT_BYTES, MOST_STATUS_BYTES - bytesOf(trailer)));
}

/** What is sent of a text however much room trailers take: whoever reads a log is to see what it is about. */
const LEAST_TEXT_BYTES = 256;

function bytesOf(trailer: TrailerInit): number {
  return Object.entries(trailer).reduce((sum, [key, value]) => sum + fieldBytes(key, value), 0);
}
