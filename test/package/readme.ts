import { readFileSync } from "node:fs";

/** A fenced block of the README. */
export interface Block {
  readonly language: string;
  /** Where a user is to put it, if it is a file. */
  readonly file: string | undefined;
  readonly text: string;
}

/** The README's fenced blocks, in order. */
export function readmeBlocks(): Block[] {
  const readme = readFileSync(new URL("../../README.md", import.meta.url), "utf8");
  return [...readme.matchAll(/^```(\w+)(?: file=(\S+))?\n(.*?)^```$/gms)].map(([, language = "", file, text = ""]) => ({
    language,
    file,
    text,
  }));
}
