import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdirSync, mkdtempSync, realpathSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { dirname, join, relative } from "node:path";
import { afterAll, describe, expect, onTestFinished, test } from "vitest";
import { freePort } from "../support/free-port.ts";
import { mustRun, run } from "../support/run.ts";
import { readmeBlocks } from "./readme.ts";

interface Manifest {
  readonly exports: Readonly<Record<string, string | { readonly default: string }>>;
  readonly bin: Readonly<Record<string, string>>;
  readonly scripts: Readonly<Record<string, string>>;
  readonly devDependencies: Readonly<Record<string, string>>;
}

const manifest: Manifest = createRequire(import.meta.url)("../../package.json");
const project = mkdtempSync(join(tmpdir(), "bowline-consumer-"));
afterAll(() => rmSync(project, { recursive: true, force: true }));
/** As npm scripts and npx have it, and without any network but loopback for what asks for a proxy. */
const offline = {
  cwd: project,
  path: [join(project, "node_modules/.bin")],
  env: { HTTPS_PROXY: "http://127.0.0.1:9", HTTP_PROXY: "http://127.0.0.1:9" },
};

function write(files: Readonly<Record<string, string>>, folder = project): void {
  for (const [path, text] of Object.entries(files)) {
    mkdirSync(dirname(join(folder, path)), { recursive: true });
    writeFileSync(join(folder, path), text);
  }
}

const compilerOptions = {
  target: "es2024",
  lib: ["es2024", "esnext.disposable"],
  module: "nodenext",
  types: ["node"],
  strict: true,
  exactOptionalPropertyTypes: true,
  noUncheckedIndexedAccess: true,
  verbatimModuleSyntax: true,
  erasableSyntaxOnly: true,
  isolatedModules: true,
  allowImportingTsExtensions: true,
  skipLibCheck: false,
  noEmit: true,
};

/** A contract with options of ours and of google/api, as a user would write one. */
const contract = `syntax = "proto3";

package acme.notes.v1;

import "bowline/v1/options.proto";
import "google/api/annotations.proto";

// What was noted.
service NoteService {
  option (bowline.v1.service) = {
    timeout: {seconds: 2}
  };

  // Adds a note.
  rpc AddNote(AddNoteRequest) returns (Note);
  // Returns a note.
  rpc GetNote(GetNoteRequest) returns (Note) {
    option idempotency_level = NO_SIDE_EFFECTS;
    option (google.api.http) = {get: "/v1/notes/{revision}"};
    option (bowline.v1.method) = {
      timeout: {nanos: 500000000}
      retry: {max_attempts: 3}
    };
  }
  // Streams notes.
  rpc WatchNotes(WatchNotesRequest) returns (stream Note) {
    option idempotency_level = NO_SIDE_EFFECTS;
    option (bowline.v1.method) = {
      resume: {
        request_field: "after_revision"
        cursor_field: "note_revision"
      }
    };
  }
}

message Note {
  int64 note_revision = 1;
  string note_text = 2;
}

message AddNoteRequest {
  string note_text = 1;
}

message GetNoteRequest {
  int64 revision = 1;
}

message WatchNotesRequest {
  int64 after_revision = 1;
}
`;

/** One set of ts-proto options, with what the contract's fields and numbers are with them. */
interface Variant {
  readonly name: string;
  readonly options: readonly string[];
  readonly revision: string;
  readonly field: (name: string) => string;
}

const camel = (name: string) => name.replace(/_(.)/g, (_, letter: string) => letter.toUpperCase());
const variants: readonly Variant[] = [
  {
    name: "recommended",
    options: ["forceLong=bigint", "oneof=unions-value"],
    revision: "9007199254740993n",
    field: camel,
  },
  { name: "number", options: ["forceLong=number"], revision: "9007199254740991", field: camel },
  { name: "string", options: ["forceLong=string"], revision: '"9007199254740993"', field: camel },
  { name: "snake", options: ["forceLong=bigint", "snakeToCamel=false"], revision: "7n", field: (name) => name },
];

/** A server and a client of its own, as a user would write them. */
function program({ name, revision, field }: Variant): string {
  return `import { createClient, RpcError } from "bowline";
import { createServer } from "bowline/server";
import { NoteService, type NoteServiceHandlers } from "./gen/${name}/acme/notes/v1/notes.contract.ts";
import type { Note } from "./gen/${name}/acme/notes/v1/notes.ts";

const notes: Note[] = [];
const handlers: NoteServiceHandlers = {
  async addNote({ ${field("note_text")}: text }) {
    const note = { ${field("note_revision")}: ${revision}, ${field("note_text")}: text };
    notes.push(note);
    return note;
  },
  async getNote({ revision }, context) {
    if (!(context.remainingMs() <= 500)) throw new Error("the contract's timeout did not arrive");
    return notes.find((note) => note.${field("note_revision")} === revision) ?? {};
  },
  async *watchNotes({ ${field("after_revision")}: after }) {
    for (const note of notes) if (note.${field("note_revision")} !== after) yield note;
  },
};

const server = createServer({ drainOn: [] }).add(NoteService, handlers);
const port = await server.listen("127.0.0.1:0");
const client = createClient(NoteService, \`localhost:\${port}\`);
const added: Note = await client.addNote({ ${field("note_text")}: "hello" });
const got: Note = await client.getNote({ revision: added.${field("note_revision")} });
const watched: Note[] = [];
for await (const note of client.watchNotes({})) watched.push(note);
const access = NoteService.cursors.watchNotes;
for await (const note of client.watchNotes(access?.write({}, access.read(added)))) watched.push(note);
// @ts-expect-error: the contract has no such field
await client.getNote({ other: 1 }).catch(() => {});
// @ts-expect-error: a contract's client takes no server's handlers
const wrong: NoteServiceHandlers = client;
client[Symbol.dispose]();
const closed = await client.getNote({}).catch((error: unknown) => (error instanceof RpcError ? error.reason : error));
await server.drain({ timeoutMs: 1_000 });
const seen = { added, got, watched, closed, policies: NoteService.methods, wrong: wrong === undefined };
console.log(JSON.stringify(seen, (_, value: unknown) => (typeof value === "bigint" ? \`\${value}n\` : value)));
`;
}

const common = [
  "outputServices=generic-definitions",
  "importSuffix=.ts",
  "enumsAsLiterals=true",
  "useExactTypes=false",
  "esModuleInterop=true",
];

/** Both plugins with the same list of options, by YAML's anchors. */
function plugins({ name, options }: Variant): string {
  return `  - local: protoc-gen-ts_proto
    out: gen/${name}
    strategy: all
    exclude_types: [bowline.v1, google.api]
    opt: &${name}
${[...common, ...options].map((option) => `      - ${option}`).join("\n")}
  - local: protoc-gen-bowline
    out: gen/${name}
    strategy: all
    opt: *${name}
`;
}

const packed = JSON.parse(mustRun("npm", ["pack", "--json", "--pack-destination", project]).stdout);
const files: string[] = packed[0].files.map(({ path }: { path: string }) => path);

describe("the tarball", () => {
  test("has what runs, and nothing else", () => {
    const folders = new Set(
      files.map((file) =>
        file
          .split("/")
          .slice(0, file.startsWith("docs/") ? 1 : 2)
          .join("/"),
      ),
    );
    const documents = ["CHANGELOG.md", "LICENSE", "README.md", "docs", "package.json"];
    const code = ["bin/protoc-gen-bowline.js", "dist/gen", "dist/proto", "dist/src"];
    expect([...folders].toSorted()).toEqual([...documents, ...code].toSorted());
    const programs = files.filter((file) => !file.startsWith("docs/"));
    expect(programs.filter((file) => /\b(test|bench|examples|shop)\b/.test(file))).toEqual([]);
    expect(files.filter((file) => /\.tsx?$/.test(file) && !file.endsWith(".d.ts"))).toEqual([]);
  });

  test("has each file that package.json names", () => {
    const exported = Object.values(manifest.exports).map((entry) =>
      typeof entry === "string" ? entry : entry.default,
    );
    const named = [...exported, ...Object.values(manifest.bin)].map((path) => path.slice(2));
    expect(named.filter((path) => !files.includes(path))).toEqual([]);
    const declarations = named.filter((path) => path.startsWith("dist/")).map((path) => path.replace(/js$/, "d.ts"));
    expect(declarations.filter((path) => !files.includes(path))).toEqual([]);
  });

  test("has the toolkit's options, and copies of what they are used with", () => {
    expect(files.filter((file) => file.startsWith("dist/proto/")).toSorted()).toEqual([
      "dist/proto/bowline/v1/options.proto",
      "dist/proto/buf/validate/validate.proto",
      "dist/proto/google/api/annotations.proto",
      "dist/proto/google/api/client.proto",
      "dist/proto/google/api/field_behavior.proto",
      "dist/proto/google/api/http.proto",
      "dist/proto/google/api/launch_stage.proto",
      "dist/proto/google/api/resource.proto",
      "dist/proto/google/rpc/error_details.proto",
      "dist/proto/google/rpc/status.proto",
      "dist/proto/grpc/reflection/v1/reflection.proto",
      "dist/proto/grpc/reflection/v1alpha/reflection.proto",
      "dist/proto/health/v1/health.proto",
    ]);
  });
});

describe("a project that installs it", () => {
  write({
    "package.json": '{ "private": true, "type": "module" }',
    "proto/acme/notes/v1/notes.proto": contract,
    "buf.yaml": "version: v2\nmodules:\n  - path: proto\n  - path: node_modules/bowline/dist/proto\n",
    "buf.gen.yaml": `version: v2\nclean: true\ninputs:\n  - directory: proto\nplugins:\n${variants.map(plugins).join("")}`,
    "tsconfig.json": JSON.stringify({ compilerOptions, include: ["*.ts", "gen", "readme/*.ts", "readme/gen"] }),
    ...Object.fromEntries(variants.map((variant) => [`${variant.name}.ts`, program(variant)])),
  });
  const types = `@types/node@${manifest.devDependencies["@types/node"]}`;
  const quiet = ["--prefer-offline", "--ignore-scripts", "--no-audit", "--no-fund"];
  mustRun("npm", ["install", ...quiet, `./${packed[0].filename}`, types], { cwd: project });
  const generated = run("buf", ["generate"], offline);

  test("generates without a network", () => {
    expect(existsSync(join(project, "gen/recommended/acme/notes/v1/notes.contract.ts"))).toBe(true);
    expect(generated.status).toBe(0);
  });

  test.each(variants)("runs client against server: $name", ({ name, revision, field }) => {
    const { stdout, stderr } = run("node", [`${name}.ts`], offline);
    expect(stderr).toBe("");
    const note = {
      [field("note_revision")]: JSON.parse(revision.replace(/^(\d+n)$/, '"$1"')),
      [field("note_text")]: "hello",
    };
    expect(JSON.parse(stdout)).toEqual({
      added: note,
      got: note,
      watched: [note],
      closed: "CLIENT_CLOSED",
      policies: {
        getNote: { timeoutMs: 500, retry: { maxAttempts: 3 } },
        watchNotes: { resume: { requestField: "after_revision", cursorField: "note_revision" } },
      },
      wrong: false,
    });
  });
});

describe("the README", () => {
  const folder = join(project, "readme");
  const blocks = readmeBlocks();
  const files = Object.fromEntries(blocks.flatMap(({ file, text }) => (file ? [[file, text]] : [])));
  const inFolder = { ...offline, cwd: folder };

  test("names commands that are there, and the versions that are tested", () => {
    const [first, second, install] = blocks.filter(({ language }) => language === "sh").map(({ text }) => text.trim());
    expect([first, second]).toEqual(["npm ci && npm start", "npm cit"]);
    expect(Object.keys(manifest.scripts)).toEqual(expect.arrayContaining(["start", "test"]));
    for (const name of ["@bufbuild/buf", "ts-proto"]) {
      expect(install).toContain(`${name}@${manifest.devDependencies[name]}`);
    }
  });

  test("leaves no block of code out", () => {
    const loose = blocks.filter(({ language, file }) => language !== "sh" && !file);
    expect(loose).toEqual([]);
  });

  test("shows a project that generates, passes its CI and runs", async () => {
    const port = String(await freePort());
    const texts = Object.entries(files).map(([path, text]) => [path, text.replaceAll("50051", port)]);
    write({ "package.json": '{ "type": "module" }', ...Object.fromEntries(texts) }, folder);
    symlinkSync("../node_modules", join(folder, "node_modules"));
    mustRun("buf", ["build", "proto", "--exclude-source-info", "-o", "contract.binpb"], inFolder);
    for (const [, args = ""] of (files[".github/workflows/contracts.yml"] ?? "").matchAll(
      /^ +- run: npx buf (.+)$/gm,
    )) {
      expect([args, run("buf", args.split(" "), inFolder)]).toEqual([args, { status: 0, stdout: "", stderr: "" }]);
    }

    const server = spawn(process.execPath, ["server.ts"], { cwd: folder, stdio: ["ignore", "pipe", "inherit"] });
    onTestFinished(() => void server.kill("SIGKILL"));
    const [ready] = await once(server.stdout, "data");
    expect(String(ready)).toBe(`serving on port ${port}\n`);
    const client = run("node", ["client.ts"], inFolder);
    expect(client).toEqual({
      status: 0,
      stdout: "o-1 1999n\nnow 0n\nnow 1n\nnow 2n\nSTATUS no order o-2\n",
      stderr: "",
    });
    const [served] = await once(server.stdout, "data");
    expect(String(served)).toMatch(/^peer:127\.0\.0\.1 waits \d+ ms more\n/);
    server.kill("SIGTERM");
    expect(await once(server, "exit")).toEqual([null, "SIGTERM"]);
    const nice = run("node", ["nice.ts"], inFolder);
    expect(nice).toEqual({ status: 0, stdout: "the handler saw the deadline\n", stderr: "" });
  });

  test("compiles by the tsconfig.json that it shows", () => {
    expect(run("tsc", [], inFolder)).toEqual({ status: 0, stdout: "", stderr: "" });
    for (const name of ["server", "client", "nice"]) expect(existsSync(join(folder, `dist/${name}.js`))).toBe(true);
  });
});

test("both projects type-check, the package's declarations included", () => {
  const { status, stdout, stderr } = run("tsc", ["--listFiles"], offline);
  const lines = stdout.split("\n");
  expect({ status, stderr, complaints: lines.filter((line) => !line.startsWith("/")).join("\n") }).toEqual({
    status: 0,
    stderr: "",
    complaints: "",
  });
  const checked = lines.map((file) => relative(realpathSync(project), file));
  const written = [
    "readme/server.ts",
    "readme/client.ts",
    "readme/nice.ts",
    ...variants.map(({ name }) => `${name}.ts`),
  ];
  expect(checked).toEqual(expect.arrayContaining(written));
});
