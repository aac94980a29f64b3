import { readdirSync, readFileSync } from "node:fs";
import { dirname, join, relative } from "node:path";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("../..", import.meta.url));

/** One `import` or `export … from`, or an `import(…)`. */
export interface Import {
  readonly specifier: string;
  /** Erased when types are: `import type` and `export type`. One `type` inside the braces is not enough. */
  readonly typeOnly: boolean;
  /** The names that are taken, as the other module calls them. */
  readonly names: readonly string[];
}

/** A file of the project. */
export interface SourceFile {
  /** From the project's root, such as `src/core/clock.ts`. */
  readonly path: string;
  readonly text: string;
  /** The text without comments. */
  readonly code: string;
  readonly imports: readonly Import[];
}

/** Every TypeScript file under a folder of the project, by its path. */
export function readSources(folder: string): Map<string, SourceFile> {
  const files = readdirSync(join(root, folder), { recursive: true, encoding: "utf8" }).filter((name) =>
    name.endsWith(".ts"),
  );
  return new Map(
    files.sort().map((name) => {
      const path = `${folder}/${name}`;
      return [path, parseSource(path, readFileSync(join(root, path), "utf8"))];
    }),
  );
}

/** Reads what the architecture is about out of a file's text, as the formatter prints it. */
export function parseSource(path: string, text: string): SourceFile {
  const code = text.replace(/\/\*[\s\S]*?\*\//g, "").replace(/^\s*\/\/.*$|\s\/\/ .*$/gm, "");
  const statements = /^(import|export)\b(?:\s+(type)(?=\s))?(?:([\w$*,{}\s]+?)\bfrom)?\s*"([^"]+)"/gm;
  const imports = [...code.matchAll(statements)].map(([, , type, clause, specifier]) => ({
    specifier: specifier ?? "",
    typeOnly: type !== undefined,
    names: namesOf(clause ?? ""),
  }));
  const dynamic = [...code.matchAll(/\bimport\(\s*"([^"]+)"/g)].map(([, specifier]) => ({
    specifier: specifier ?? "",
    typeOnly: false,
    names: ["*"],
  }));
  return { path, text, code, imports: [...imports, ...dynamic] };
}

/** Names between braces before any `as`, without `type`. */
function namesOf(clause: string): string[] {
  const named = /\{([^}]*)\}/.exec(clause)?.[1] ?? "";
  const inBraces = named.split(",").flatMap(
    (name) =>
      name
        .trim()
        .replace(/^type\s+/, "")
        .split(/\s+as\s+/)[0] || [],
  );
  return [...(clause.includes("*") ? ["*"] : []), ...inBraces];
}

/** The project's file that a relative specifier names. */
export function resolveRelative(from: string, specifier: string): string {
  return relative(root, join(root, dirname(from), specifier));
}
