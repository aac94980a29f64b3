import { hash } from "node:crypto";
import type { Claims } from "./jwt-options.ts";

/** What a refreshed token says otherwise though it allows the same (RFC 7519, 4.1). */
const OF_ONE_TOKEN = new Set(["exp", "iat", "nbf", "jti"]);

/** Equal for tokens that say the same of the same holder: a digest of all their claims but those of one token alone. */
export function claimsPartition(claims: Claims): string {
  const lasting = Object.entries(claims).filter(([name]) => !OF_ONE_TOKEN.has(name));
  const sorted = lasting.toSorted(([one], [other]) => (one < other ? -1 : 1));
  return hash("sha256", JSON.stringify(sorted), "base64url");
}
