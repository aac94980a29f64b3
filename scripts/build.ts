/**
 * Builds what is published: `dist/src` and the part of `dist/gen` that it needs, with declarations, and `dist/proto`,
 * the one module path that a user's buf.yaml needs besides its own.
 */
import { spawnSync } from "node:child_process";
import { copyFileSync, mkdirSync, readFileSync, rmSync } from "node:fs";
import { dirname, join } from "node:path";

const ROOT = join(import.meta.dirname, "..");
const PROTO = join(ROOT, "dist/proto");

/**
 * What contracts import besides the toolkit's options, where it comes from, and what of it. What these import in
 * turn comes along; protobuf's own files are the compiler's.
 */
const SOURCES: readonly { readonly from: string; readonly files: readonly string[] }[] = [
  { from: "proto", files: ["bowline/v1/options.proto"] },
  {
    from: "node_modules/google-gax/build/protos",
    files: [
      "google/api/annotations.proto",
      "google/api/client.proto",
      "google/api/field_behavior.proto",
      "google/api/resource.proto",
      "google/rpc/error_details.proto",
      "google/rpc/status.proto",
    ],
  },
  { from: "node_modules/grpc-health-check/proto", files: ["health/v1/health.proto"] },
  {
    from: "node_modules/@grpc/reflection/build/proto",
    files: ["grpc/reflection/v1/reflection.proto", "grpc/reflection/v1alpha/reflection.proto"],
  },
];

function run(command: string, ...args: string[]): void {
  const { status, error } = spawnSync(join(ROOT, "node_modules/.bin", command), args, { cwd: ROOT, stdio: "inherit" });
  if (error) throw error;
  if (status !== 0) process.exit(status ?? 1);
}

/** A .proto file and what it imports, without protobuf's own. */
function closure(from: string, file: string): string[] {
  const imports = readFileSync(join(ROOT, from, file), "utf8").matchAll(/^import (?:public )?"([^"]+)";/gm);
  const needed = [...imports].flatMap(([, path]) => (path && !path.startsWith("google/protobuf/") ? [path] : []));
  return [file, ...needed.flatMap((path) => closure(from, path))];
}

rmSync(join(ROOT, "dist"), { recursive: true, force: true });
run("tsc", "-p", "tsconfig.build.json");
for (const { from, files } of SOURCES) {
  for (const file of new Set(files.flatMap((file) => closure(from, file)))) {
    mkdirSync(dirname(join(PROTO, file)), { recursive: true });
    copyFileSync(join(ROOT, from, file), join(PROTO, file));
  }
}
run("node", "scripts/print-validate-proto.ts", "dist/proto");
const config = JSON.stringify({ version: "v2", modules: [{ path: "dist/proto" }] });
run("buf", "build", "--config", config, "-o", "/dev/null");
