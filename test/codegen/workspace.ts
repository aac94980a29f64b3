import { mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { create, fromBinary } from "@bufbuild/protobuf";
import {
  type CodeGeneratorRequest,
  CodeGeneratorRequestSchema,
  type FileDescriptorSet,
  FileDescriptorSetSchema,
} from "@bufbuild/protobuf/wkt";
import { mustRun, type Outcome, ROOT, run } from "../support/run.ts";

/** The options that the README tells users to give to ts-proto and to the plugin. */
export const OPTIONS: readonly string[] = [
  "outputServices=generic-definitions",
  "importSuffix=.ts",
  "enumsAsLiterals=true",
  "forceLong=bigint",
  "oneof=unions-value",
  "useExactTypes=false",
  "esModuleInterop=true",
  "annotateFilesWithVersion=false",
];

/** `google/rpc/status.proto`, as far as batches go by it. */
export const STATUS = `syntax = "proto3"; package google.rpc; import "google/protobuf/any.proto";
message Status { int32 code = 1; string message = 2; repeated google.protobuf.Any details = 3; }`;

/** A module path in a buf workspace, relative to the repository. */
export interface Module {
  readonly path: string;
  readonly includes?: readonly string[];
  readonly excludes?: readonly string[];
}

/** The toolkit's options, as a user's workspace has them. */
export const BOWLINE: Module = { path: "proto", excludes: ["proto/shop"] };

/**
 * A folder of a test's own, empty at first; ignored by git. It is in the repository, since buf, type stripping and the
 * package's own name all want that.
 */
export class Workspace {
  /** Relative to the repository. */
  readonly path: string;

  constructor(name: string) {
    this.path = join("test/codegen/.out", name);
    rmSync(join(ROOT, this.path), { recursive: true, force: true });
    this.write({ "proto/.keep": "" });
  }

  /** Where something in it is, as an absolute path. */
  at(path: string): string {
    return join(ROOT, this.path, path);
  }

  write(files: Readonly<Record<string, string>>): void {
    for (const [path, content] of Object.entries(files)) {
      mkdirSync(dirname(this.at(path)), { recursive: true });
      writeFileSync(this.at(path), content);
    }
  }

  /** The module that its .proto files are written to. */
  get proto(): Module {
    return { path: join(this.path, "proto") };
  }
}

function config(modules: readonly Module[]): string {
  return JSON.stringify({ version: "v2", modules });
}

/** Compiles a workspace's .proto files with all that they import. */
export function compile(workspace: Workspace, modules: readonly Module[] = [BOWLINE]): FileDescriptorSet {
  const image = workspace.at("image.binpb");
  const args = ["--as-file-descriptor-set", "-o", image, "--config", config([...modules, workspace.proto])];
  mustRun("buf", ["build", ...args]);
  return fromBinary(FileDescriptorSetSchema, readFileSync(image));
}

/** What a compiler asks the plugin. */
export function requestFor(
  set: FileDescriptorSet,
  fileToGenerate: readonly string[],
  options: readonly string[] = OPTIONS,
): CodeGeneratorRequest {
  const parameter = options.join(",");
  return create(CodeGeneratorRequestSchema, { fileToGenerate: [...fileToGenerate], protoFile: set.file, parameter });
}

/** One run of ts-proto and the plugin with the same options. */
export interface Target {
  /** Where to, in the workspace. */
  readonly out: string;
  readonly options?: readonly string[];
  /** What ts-proto is not to print. Default: the toolkit's options. */
  readonly excludeTypes?: readonly string[];
}

/** Runs `buf generate` on some modules with ts-proto and the plugin, as users do. */
export function bufGenerate(
  workspace: Workspace,
  targets: readonly Target[],
  inputs: readonly Module[] = [workspace.proto],
  modules: readonly Module[] = [BOWLINE, workspace.proto],
): Outcome {
  const plugins = targets.flatMap(({ out, options = OPTIONS, excludeTypes = ["bowline.v1"] }) => {
    const common = { out: join(workspace.path, out), strategy: "all", opt: options };
    return [
      { ...common, local: "protoc-gen-ts_proto", exclude_types: excludeTypes },
      { ...common, local: ["node", "--conditions=bowline-source", "src/codegen/main.ts"] },
    ];
  });
  const directories = inputs.map(({ path }) => ({ directory: path }));
  const template = JSON.stringify({ version: "v2", clean: true, plugins, inputs: directories });
  return run("buf", ["generate", "--config", config(modules), "--template", template]);
}

/** Type-checks what is in a workspace, as strictly as the repository's own code; returns the compiler's complaints. */
export function typeCheck(workspace: Workspace, compilerOptions: object = {}): string[] {
  const tsconfig = {
    extends: join(ROOT, "tsconfig.json"),
    compilerOptions: { rootDir: ROOT, ...compilerOptions },
    include: ["**/*.ts"],
  };
  workspace.write({ "tsconfig.json": JSON.stringify(tsconfig) });
  const { stdout } = run("tsc", ["-p", workspace.at("tsconfig.json"), "--pretty", "false"]);
  return stdout.split("\n").filter((line) => line.includes("error TS"));
}
