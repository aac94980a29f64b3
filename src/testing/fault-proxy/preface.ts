import type { Readable } from "node:stream";

/** What every HTTP/2 client says first (RFC 9113, 3.4). */
const PREFACE = Buffer.from("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "latin1");

/**
 * Resolves once the first bytes are known: whether they are HTTP/2's; undefined if none come. Other readers get all
 * bytes too.
 */
export function beginsWithPreface(source: Readable): Promise<boolean | undefined> {
  let seen = Buffer.alloc(0);
  return new Promise((resolve) => {
    source.on("data", function look(bytes: Buffer) {
      seen = Buffer.concat([seen, bytes.subarray(0, PREFACE.length - seen.length)]);
      const fits = seen.equals(PREFACE.subarray(0, seen.length));
      if (fits && seen.length < PREFACE.length) return;
      source.off("data", look);
      resolve(fits);
    });
    source.on("end", () => resolve(seen.length > 0 ? false : undefined));
  });
}
