import type { LocalCause } from "../core/status-error.ts";

/**
 * The texts with which grpc-js tells that it made a status itself. They are all there is: such a status looks like one
 * that a server sent after its headers.
 */
const TEXTS: readonly [RegExp, LocalCause][] = [
  [/^Deadline exceeded after /, "deadline"],
  [/^Received message (larger than max|that decompresses to a size larger)/, "too-large"],
  [/^No connection established/, "unsent"],
  [/^Name resolution failed/, "unsent"],
  [/^Failed to parse .* address/, "unsent"],
  [/^Channel closed before call started$/, "unsent"],
  [/^Write (error|failed)/, "broken"],
  [/^Connection dropped$/, "broken"],
  [/^Received RST_STREAM with code \d+/, "broken"],
  [/^Call cancelled$/, "broken"],
  [/^Stream refused by server$/, "unsent"],
  [/^Bandwidth exhausted or memory limit exceeded$/, "too-much"],
  [/^Request message serialization failure: /, "not-encodable"],
  [/^Protocol not secure enough$/, "broken"],
  [/^(read|write) E[A-Z]+$/, "broken"],
];

/** Why grpc-js made a status itself, by its details; undefined if they do not say that it did. */
export function localCause(details: string): LocalCause | undefined {
  return TEXTS.find(([text]) => text.test(details))?.[1];
}

/** What grpc-js says of a target that cannot be reached, without what it does not know either. */
export function knownDetails(details: string): string {
  if (!details.startsWith("No connection established")) return details;
  return details.replace(/ Last error: null\./, "").replace(/\s*Resolution note:\s*$/, "");
}
