import { createRequire } from "node:module";
import { create } from "@bufbuild/protobuf";
import { CodeGeneratorRequestSchema } from "@bufbuild/protobuf/wkt";
import { expect, test } from "vitest";
import { generate } from "../../src/codegen/generate.ts";
import { RULES } from "../../src/codegen/ts-proto-rules.ts";
import { OPTIONS } from "./workspace.ts";

const SERVICES = "outputServices=generic-definitions";

/** What the plugin says about a list of options. */
function problems(...options: string[]): string[] {
  const request = create(CodeGeneratorRequestSchema, { parameter: options.join(",") });
  return generate(request).error.split("\n").slice(1);
}

test.each([
  ["forceLong=long", "say forceLong=bigint, forceLong=number, or forceLong=string: a cursor is no Long"],
  ["forceLong=true", "say forceLong=bigint, forceLong=number, or forceLong=string: a cursor is no Long"],
  [
    "useDate=temporal",
    "say useDate=date, useDate=string, useDate=timestamp, useDate=true, or useDate=false: others need a package or a lib besides",
  ],
  [
    "useOptionals=deprecatedOnly",
    "say useOptionals=none, useOptionals=messages, or useOptionals=all: what ts-proto prints with others does not compile",
  ],
  ["useNullAsOptional=true", "leave it out: what ts-proto prints with it does not compile"],
  ["outputSchema=const", "leave it out: what ts-proto prints with it does not compile"],
  ["useMongoObjectId=true", "leave it out: it needs the mongodb package"],
  ["nestJs=true", "leave it out: it leaves out what encodes messages"],
  ["onlyTypes=true", "leave it out: it leaves out what encodes messages"],
  ["outputEncodeMethods=false", "leave it out: contracts encode and decode messages"],
  ["outputPartialMethods=false", "leave it out: contracts take messages in part and complete them"],
  ["exportCommonSymbols=false", "leave it out: contracts import DeepPartial"],
  ["outputIndex=true", "leave it out: contracts import DeepPartial, which it keeps inside"],
  ["rpcErrorHandler=true", "leave it out: it changes outputServices"],
  ["comments=no", "say comments=true or comments=false"],
])("%s is refused", (option, message) => {
  expect(problems(SERVICES, option)).toEqual([`protoc-gen-bowline: opt ${option}: ${message}`]);
});

test.each([
  [
    ["outputServices=nice-grpc"],
    "outputServices",
    "say outputServices=generic-definitions too: contracts are made from ts-proto's definitions",
  ],
  [[], "outputServices", "say outputServices=generic-definitions too: contracts are made from ts-proto's definitions"],
  [
    [SERVICES, "outputServices=nice-grpc", "outputServices=grpc-js"],
    "outputServices",
    "is given more than twice, of which ts-proto heeds the last alone",
  ],
  [[SERVICES, "outputServices=default"], "outputServices=default", "leave it out, or say nice-grpc or grpc-js"],
  [[SERVICES, "env=node", "env=both"], "env", "is given 2 times; once is enough"],
  [[SERVICES, "useExactType=false"], "useExactType", "leave it out: ts-proto has no option of this name that fits"],
  [[SERVICES, "Mb.proto=./b"], "Mb.proto", "leave it out: ts-proto has no option of this name that fits"],
  [[SERVICES, "comments"], "comments=", "say comments=true or comments=false"],
])("%j is refused", (options, name, message) => {
  expect(problems(...options)).toEqual([`protoc-gen-bowline: opt ${name}: ${message}`]);
});

test("everything that is wrong with the options is told at once", () => {
  expect(problems("forceLong=long", "lib=x", "outputIndex=true")).toHaveLength(4);
});

test("what the README tells users to say fits", () => {
  expect(problems(...OPTIONS)).toEqual([]);
});

test("every option that this ts-proto has is known, or known to be refused", () => {
  const { defaultOptions } = createRequire(import.meta.url)("ts-proto/build/src/options.js");
  const refused = ["outputEncodeIncludeTypes", "outputDecodeIncludeTypes", "M"];
  expect([...RULES.keys(), "outputServices", ...refused].toSorted()).toEqual(Object.keys(defaultOptions()).toSorted());
});
