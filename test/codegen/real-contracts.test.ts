import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { file_buf_validate_validate } from "@bufbuild/protovalidate/gen/buf/validate/validate_pb.js";
import { expect, test } from "vitest";
import { EVERYWHERE } from "../../src/codegen/files.ts";
import type { Contract } from "../../src/contract/contract.ts";
import { DescriptorRegistry } from "../../src/server/descriptor-registry.ts";
import { ROOT } from "../support/run.ts";
import { bufGenerate, type Module, typeCheck, Workspace } from "./workspace.ts";

/** The .proto files that npm packages ship, as they are. */
const packages: readonly Module[] = [
  // protobuf's own files come with the compiler; these are of another version, and some of them are tests that fail.
  { path: "node_modules/google-gax/build/protos", excludes: ["node_modules/google-gax/build/protos/google/protobuf"] },
  {
    path: "node_modules/@grpc/grpc-js/proto",
    excludes: ["node_modules/@grpc/grpc-js/proto/xds", "node_modules/@grpc/grpc-js/proto/protoc-gen-validate"],
  },
  { path: "node_modules/@grpc/grpc-js/proto/xds" },
  { path: "node_modules/@grpc/grpc-js/proto/protoc-gen-validate" },
  { path: "node_modules/grpc-health-check/proto" },
  {
    path: "node_modules/@grpc/reflection/build/proto",
    excludes: ["node_modules/@grpc/reflection/build/proto/sample"],
  },
];

/** Some are made for loaders that are less strict than protoc and buf; this is what those let pass. */
function repaired(folder: string, ...repairs: [from: string | RegExp, to: string][]): Record<string, string> {
  const files = readdirSync(join(ROOT, folder), { recursive: true, encoding: "utf8" });
  return Object.fromEntries(
    files
      .filter((file) => file.endsWith(".proto"))
      .map((file) => {
        const text = readFileSync(join(ROOT, folder, file), "utf8");
        return [
          `proto/${file.replace("vendor/", "")}`,
          repairs.reduce((text, [from, to]) => text.replaceAll(from, to), text),
        ];
      }),
  );
}

const workspace = new Workspace("real-contracts");
workspace.write({
  ...repaired(
    "node_modules/etcd3/proto",
    ["package etcdserverpb;", 'package etcdserverpb; import "google/api/annotations.proto";'],
    ['import "./', 'import "'],
  ),
  ...repaired(
    "node_modules/@grpc/reflection/build/proto/sample",
    ['import "./', 'import "'],
    ["enum HelloStatus {", "enum HelloStatus { NONE = 0;"],
    ['import "common.proto"', 'import public "common.proto"'],
    ["message CommonMessage", 'import "dependency/dependency.proto"; message CommonMessage'],
    ["(CommonMessage)", "(vendor.CommonMessage)"],
    ["CommonMessage field", "vendor.CommonMessage field"],
    ["optional DependentMessage", "optional vendor.dependency.DependentMessage"],
  ),
});
const modules = [...packages, workspace.proto];
const generated = bufGenerate(workspace, [{ out: "gen", excludeTypes: [] }], modules, modules);

const contracts = readdirSync(workspace.at("gen"), { recursive: true, encoding: "utf8" })
  .filter((file) => file.endsWith(".contract.ts"))
  .toSorted();

async function loadAll(): Promise<Contract[]> {
  const modules = await Promise.all(contracts.map((file) => import(workspace.at(`gen/${file}`))));
  return modules.flatMap((module: Record<string, Contract>) => Object.values(module));
}

test("ts-proto and the plugin take what npm packages ship", () => {
  expect(generated).toMatchObject({ status: 0, stderr: "" });
});

test("what is printed is strictly typed", () => {
  expect(typeCheck(workspace)).toEqual([]);
});

test("what is printed loads, and reflection finds every method of it", async () => {
  const all = await loadAll();
  const methods = all.flatMap(({ definition }) => {
    return Object.values(definition.methods).map(({ name }) => `${definition.fullName}.${name}`);
  });
  const registry = new DescriptorRegistry(all);
  expect(methods.filter((method) => !registry.fileOfSymbol(method))).toEqual([]);
  console.log(`real contracts: ${contracts.length} files, ${all.length} services, ${methods.length} methods`);
  expect([contracts.length, all.length, methods.length]).toEqual([30, 36, 189]);
});

test("a server that validates has the files that contracts do not carry", () => {
  const server = new DescriptorRegistry([], [file_buf_validate_validate]);
  expect([...EVERYWHERE].filter((name) => !server.closure(name))).toEqual([]);
});
