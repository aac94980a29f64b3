import { readFileSync } from "node:fs";

/** A fenced block of a page. */
export interface Block {
  readonly language: string;
  /** Where a user is to put it, if it is a file. */
  readonly file: string | undefined;
  readonly text: string;
}

/** The fenced blocks of a page of the repository, in order. */
export function blocksOf(page: string): Block[] {
  const text = readFileSync(new URL(`../../${page}`, import.meta.url), "utf8");
  return [...text.matchAll(/^```(\w+)(?: file=(\S+))?\n(.*?)^```$/gms)].map(([, language = "", file, text = ""]) => ({
    language,
    file,
    text,
  }));
}

/** The README's fenced blocks, in order. */
export function readmeBlocks(): Block[] {
  return blocksOf("README.md");
}
