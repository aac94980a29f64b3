import { forbiddenKey } from "../core/metadata-keys.ts";
import { metadataBytes, tooLarge } from "../core/metadata-size.ts";
import type { Metadata } from "../transport/index.ts";

/** Why metadata cannot be sent by nice-grpc's server, which looks at nothing itself; undefined if it can. */
export function metadataProblem(metadata: Metadata): string | undefined {
  for (const [key] of metadata) {
    const problem = forbiddenKey(key);
    if (problem) return problem;
  }
  return tooLarge(metadataBytes(metadata));
}

/**
 * Takes out of metadata what cannot be sent: the keys, or all of it where it is too much.
 *
 * @returns why, or undefined if all of it can.
 */
export function takeUnsendable(metadata: Metadata): string | undefined {
  const problem = metadataProblem(metadata);
  if (problem === undefined) return undefined;
  for (const [key] of [...metadata]) if (forbiddenKey(key)) metadata.delete(key);
  if (metadataProblem(metadata)) clear(metadata);
  return problem;
}

/** Takes out all of it. */
export function clear(metadata: Metadata): void {
  for (const [key] of [...metadata]) metadata.delete(key);
}
