import { describe, expect, test } from "vitest";
import { type Import, parseSource, readSources, resolveRelative, type SourceFile } from "../support/sources.ts";

/**
 * What each folder of src/ may import: folders, `gen/…`, packages and `node:` modules. An entry that ends in
 * `(types)` allows type imports alone.
 */
const MAY_IMPORT: Record<string, readonly string[]> = {
  core: ["node:async_hooks", "nice-grpc-common (types)"],
  policy: ["core"],
  stream: ["core", "policy"],
  contract: ["core", "policy (types)"],
  transport: ["core", "nice-grpc", "nice-grpc-common", "@grpc/grpc-js", "@bufbuild/protobuf/wire", "node:"],
  client: ["core", "policy", "contract", "stream", "transport", "nice-grpc-common (types)"],
  server: [
    ...["core", "policy", "contract", "stream", "transport", "nice-grpc-common (types)"],
    ...["@bufbuild/protobuf", "gen/", "node:"],
  ],
  "runtime/v1": ["core", "contract", "client (types)", "server (types)"],
  codegen: ["core", "contract", "gen/bowline/", "@bufbuild/", "node:"],
  "idempotency-sqlite": ["core", "policy", "server (types)", "node:sqlite"],
  "idempotency-postgres": ["core", "server (types)", "pg (types)"],
  "idempotency-redis": ["core", "server (types)", "ioredis (types)", "node:crypto"],
  "auth-jwt": ["core", "server (types)", "jose", "nice-grpc-common (types)", "node:crypto"],
  validate: ["core", "server (types)", "@bufbuild/protobuf", "@bufbuild/protovalidate"],
  "rate-limit-redis": ["core", "policy", "server (types)", "ioredis (types)", "rate-limiter-flexible"],
  testing: ["core", "policy", "contract", "transport", "server", "node:"],
  simulate: ["anything"],
  cli: ["anything"],
  // The package's own entry: what a client needs, and nothing that loads a server.
  "index.ts": ["core", "policy", "contract", "stream", "client"],
};

const IMPORTED_BY_NOBODY = ["codegen", "simulate", "cli", "index.ts"];

/** The only files that touch real time and real chance. */
const REAL_TIME = ["src/core/clock.ts", "src/core/random.ts"];
const TIME_OR_CHANCE =
  /\b(Date\.now|new Date\(\)|performance\.now|setTimeout|setInterval|AbortSignal\.timeout|Math\.random|randomUUID|randomBytes|getRandomValues)\b/;

/** What waits for a turn of the event loop, which a fake clock does not own. */
const A_TURN = /\b(setImmediate|queueMicrotask|nextTick)\b/;

const sources = readSources("src");
const files = [...sources.values()];

/** The row of the table that a path belongs to. */
function folderOf(path: string): string {
  const inside = path.replace(/^src\//, "");
  return Object.keys(MAY_IMPORT).find((row) => inside === row || inside.startsWith(`${row}/`)) ?? inside;
}

/** What a row of the table would have to name for an import; undefined within the folder. */
function importedName(file: SourceFile, { specifier }: Import): string | undefined {
  const target = specifier.startsWith(".") ? resolveRelative(file.path, specifier) : specifier;
  const name = target.startsWith("src/") ? folderOf(target) : target;
  return name === folderOf(file.path) ? undefined : name;
}

function isAllowed(row: readonly string[], name: string, typeOnly: boolean): boolean {
  return row.some((entry) => {
    const only = entry.endsWith(" (types)");
    const allowed = entry.replace(" (types)", "");
    const fits =
      allowed === "anything" || name === allowed || name.startsWith(/[/:]$/.test(allowed) ? allowed : `${allowed}/`);
    return fits && (typeOnly || !only);
  });
}

/** Imports that the table does not allow, as a reader would put it. */
function forbiddenImports(file: SourceFile): string[] {
  const row = MAY_IMPORT[folderOf(file.path)] ?? [];
  return file.imports.flatMap((one) => {
    const name = importedName(file, one);
    const forbidden = name !== undefined && (!isAllowed(row, name, one.typeOnly) || IMPORTED_BY_NOBODY.includes(name));
    return forbidden ? [`${file.path} imports ${one.typeOnly ? "types of " : ""}${one.specifier}`] : [];
  });
}

describe("the sources are read right", () => {
  test.each<[string, Import[]]>([
    ['import "./a.ts";', [{ specifier: "./a.ts", typeOnly: false, names: [] }]],
    ['import { a, type B as C } from "b";', [{ specifier: "b", typeOnly: false, names: ["a", "B"] }]],
    ['import {\n  type A,\n  b,\n} from "b";', [{ specifier: "b", typeOnly: false, names: ["A", "b"] }]],
    ['import type { A } from "node:fs";', [{ specifier: "node:fs", typeOnly: true, names: ["A"] }]],
    ['import * as a from "a/b";', [{ specifier: "a/b", typeOnly: false, names: ["*"] }]],
    ['import a, { b } from "a";', [{ specifier: "a", typeOnly: false, names: ["b"] }]],
    ['import { type } from "a";', [{ specifier: "a", typeOnly: false, names: ["type"] }]],
    ['export { a } from "./a.ts";', [{ specifier: "./a.ts", typeOnly: false, names: ["a"] }]],
    ['export type { A } from "./a.ts";', [{ specifier: "./a.ts", typeOnly: true, names: ["A"] }]],
    ['export * from "./a.ts";', [{ specifier: "./a.ts", typeOnly: false, names: ["*"] }]],
    ['const a = await import("./a.ts");', [{ specifier: "./a.ts", typeOnly: false, names: ["*"] }]],
    ['// import { a } from "a";\n/* \nimport "b";\n*/', []],
    ['export const from = "a";\nexport function f() {\n  return `import "b"`;\n}', []],
  ])("%j", (text, imports) => {
    expect(parseSource("src/a.ts", text).imports).toEqual(imports);
  });

  test("all of them", () => {
    expect(files.length).toBeGreaterThan(60);
    expect(sources.get("src/core/clock.ts")?.code).toContain("performance.now()");
  });
});

describe("who may import what", () => {
  test("every folder has its row", () => {
    const strangers = files.map(({ path }) => folderOf(path)).filter((folder) => !(folder in MAY_IMPORT));
    expect(strangers).toEqual([]);
  });

  test.each(Object.keys(MAY_IMPORT))("%s keeps to its row", (row) => {
    expect(files.filter(({ path }) => folderOf(path) === row).flatMap(forbiddenImports)).toEqual([]);
  });

  test.each<[string, string, boolean]>([
    ["src/core/a.ts", 'import { b } from "../policy/b.ts";', false],
    ["src/core/a.ts", 'import { b } from "node:fs";', false],
    ["src/core/a.ts", 'import { b } from "node:async_hooks";', true],
    ["src/core/a.ts", 'import type { B } from "nice-grpc-common";', true],
    ["src/core/a.ts", 'import { type B } from "nice-grpc-common";', false],
    ["src/contract/a.ts", 'import type { B } from "../policy/b.ts";', true],
    ["src/contract/a.ts", 'import { b } from "../policy/b.ts";', false],
    ["src/client/a.ts", 'import type { B } from "@grpc/grpc-js";', false],
    ["src/client/a.ts", 'import { b } from "../transport/index.ts";', true],
    ["src/client/a.ts", 'import type { B } from "../server/b.ts";', false],
    ["src/client/layers/a.ts", 'import { b } from "../invoke.ts";', true],
    ["src/client/a.ts", 'import { b } from "node:net";', false],
    ["src/server/a.ts", 'import { b } from "@bufbuild/protobuf/wkt";', true],
    ["src/server/a.ts", 'import { b } from "../../gen/health/v1/health.ts";', true],
    ["src/codegen/a.ts", 'import { b } from "../../gen/health/v1/health.ts";', false],
    ["src/server/a.ts", 'import { b } from "../codegen/b.ts";', false],
    ["src/cli/a.ts", 'import { b } from "../index.ts";', false],
    ["src/simulate/a.ts", 'import { b } from "../client/index.ts";', true],
    ["src/index.ts", 'import type { B } from "./server/index.ts";', false],
  ])("in %s, %s is allowed: %s", (path, text, allowed) => {
    expect(forbiddenImports(parseSource(path, text)).length === 0).toBe(allowed);
  });
});

describe("what runs at run time", () => {
  const all = new Map([...sources, ...readSources("gen")]);

  /** The files that a file loads. Type imports are erased, so a ring of them cannot upset the order of loading. */
  const loads = ({ path, imports }: SourceFile) =>
    imports
      .filter(({ typeOnly }) => !typeOnly)
      .map(({ specifier }) => specifier.replace(/^bowline\/(.*)$/, "/src/$1/index.ts"))
      .map((specifier) => (specifier.startsWith(".") ? resolveRelative(path, specifier) : specifier.slice(1)));

  test("no file loads itself by way of others", () => {
    const done = new Set<string>();
    const rings: string[] = [];
    const visit = (path: string, trail: readonly string[]): void => {
      const ring = trail.includes(path) ? [[...trail.slice(trail.indexOf(path)), path].join(" → ")] : [];
      rings.push(...ring);
      const next = ring.length > 0 || done.has(path) ? undefined : all.get(path);
      for (const loaded of next ? loads(next) : []) visit(loaded, [...trail, path]);
      done.add(path);
    };
    for (const path of all.keys()) visit(path, []);
    expect(rings).toEqual([]);
  });

  test("real time and chance come from the core's clock and random alone", () => {
    const found = files.filter(({ code }) => TIME_OR_CHANCE.test(code)).map(({ path }) => path);
    expect(found).toEqual(REAL_TIME);
  });

  /** Whether a file waits for a turn and has no comment about that turn. */
  function waitsUnexplained({ code, text }: SourceFile): boolean {
    return A_TURN.test(code) && !/^\s*(?:\/\/|\/?\*).*\bturn\b/m.test(text);
  }

  test("turns of the event loop are waited for by the transport alone, which says why, and by the fake clock", () => {
    const own = ["src/testing/fake-clock.ts"];
    const waiting = files.filter(({ path, code }) => !own.includes(path) && A_TURN.test(code));
    expect(waiting.filter(({ path }) => !path.startsWith("src/transport/"))).toEqual([]);
    expect(waiting.filter(waitsUnexplained).map(({ path }) => path)).toEqual([]);
  });

  test.each<[string, boolean]>([
    ["await new Promise((resolve) => setImmediate(resolve));", true],
    ["// It ends.\nqueueMicrotask(end);", true],
    ["// grpc-js ends it in the next turn.\nsetImmediate(end);", false],
    ["// Not with queueMicrotask.", false],
  ])("%j waits for a turn and does not say why: %s", (text, unexplained) => {
    expect(waitsUnexplained(parseSource("src/transport/a.ts", text))).toBe(unexplained);
  });
});

describe("what is public", () => {
  const indexes = files.filter(({ path }) => path.endsWith("index.ts"));

  /** Where a name is declared, following re-exports; undefined for a package's own. */
  function declaration(path: string, name: string): { file: SourceFile; name: string } | undefined {
    const file = sources.get(path);
    if (!file) return undefined;
    const passedOn = file.imports.find(
      ({ names, specifier }) => names.includes(name) && new RegExp(`^export[^;]*"${specifier}"`, "m").test(file.code),
    );
    if (!passedOn) return { file, name };
    return passedOn.specifier.startsWith(".")
      ? declaration(resolveRelative(path, passedOn.specifier), name)
      : undefined;
  }

  function isDocumented({ file, name }: { file: SourceFile; name: string }): boolean {
    const declared = `export (?:declare |abstract |async )*(?:function\\*?|class|const|interface|type|enum) ${name}\\b`;
    return new RegExp(`\\*/\\n(?://.*\\n)*${declared}`).test(file.text);
  }

  /** The names that an index exports: passed on, and its own. */
  function exportedNames({ code }: SourceFile): string[] {
    const lists = [...code.matchAll(/^export (?:type )?\{([^}]*)\}/gm)].flatMap(([, list]) => (list ?? "").split(","));
    const own = [...code.matchAll(/^export (?:async )?(?:function|class|const|interface|type) (\w+)/gm)];
    const listed = lists.map((name) => name.trim().replace(/^type /, "")).filter((name) => name !== "");
    return [...listed, ...own.map(([, name]) => name ?? "")];
  }

  test.each(indexes.map((file) => [file.path, file] as const))("%s exports documented names", (path, file) => {
    const names = exportedNames(file);
    expect(names.length).toBeGreaterThan(0);
    const bare = names.filter((name) => {
      const found = declaration(path, name);
      return found && !isDocumented(found);
    });
    expect(bare).toEqual([]);
  });

  test("nothing is exported by a star", () => {
    expect(files.filter(({ code }) => /^export \*/m.test(code)).map(({ path }) => path)).toEqual([]);
  });
});

test("no file is longer than 300 lines", () => {
  const long = files.filter(({ text }) => text.trimEnd().split("\n").length > 300);
  expect(long.map(({ path }) => path)).toEqual([]);
});
