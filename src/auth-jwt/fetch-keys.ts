import type { JSONWebKeySet } from "jose";

/** Larger answers are no key set, in bytes. */
const MOST_BYTES = 1024 * 1024;

/**
 * Fetches a JSON Web Key Set.
 *
 * @throws Error if there is no answer before the signal aborts, or one that is no key set.
 */
export async function fetchKeys(url: string | URL, signal: AbortSignal): Promise<JSONWebKeySet> {
  const headers = { accept: "application/json, application/jwk-set+json" };
  const response = await fetch(url, { signal, redirect: "error", headers });
  if (response.status !== 200) throw new Error(`answered ${response.status}`);
  return JSON.parse(await bodyOf(response)) as JSONWebKeySet;
}

async function bodyOf({ body }: Response): Promise<string> {
  const decoder = new TextDecoder();
  let text = "";
  let size = 0;
  for await (const chunk of body ?? []) {
    size += chunk.byteLength;
    if (size > MOST_BYTES) throw new Error(`the key set has more than ${MOST_BYTES} bytes`);
    text += decoder.decode(chunk, { stream: true });
  }
  return text;
}
