import { PassThrough } from "node:stream";
import { expect, test } from "vitest";
import { beginsWithPreface } from "../../../../src/testing/fault-proxy/preface.ts";

const PREFACE = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/** What is known after so many chunks, and then the end. */
async function look(...chunks: string[]): Promise<boolean | undefined> {
  const source = new PassThrough();
  const known = beginsWithPreface(source);
  for (const chunk of chunks) source.write(chunk);
  source.end();
  return await known;
}

test.each<[string[], boolean | undefined]>([
  [[PREFACE], true],
  [[`${PREFACE}and more`], true],
  [[...PREFACE], true],
  [["P", "RI * HTTP/1.1\r\n"], false],
  [["\u0016\u0003\u0001"], false],
  [["PRI"], false],
  [[], undefined],
])("%j is HTTP/2: %s", async (chunks, expected) => {
  expect(await look(...chunks)).toBe(expected);
});

test("what is no preface is known with the first byte that differs", async () => {
  const source = new PassThrough();
  source.write("G");
  expect(await beginsWithPreface(source)).toBe(false);
});
