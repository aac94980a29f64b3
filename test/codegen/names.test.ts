import { createClient } from "bowline";
import { createServer } from "bowline/server";
import { expect, onTestFinished, test } from "vitest";
import type { Contract } from "../../src/contract/contract.ts";
import type { ServiceDefinition } from "../../src/contract/definition.ts";
import { bufGenerate, OPTIONS, typeCheck, Workspace } from "./workspace.ts";

/** Names that JavaScript, TypeScript, ts-proto or our own imports have another use for. */
const protos = {
  "no_package.proto": `syntax = "proto3";
import "bowline/v1/options.proto";
message Word { string text = 1; }
service Words {
  option (bowline.v1.service) = { timeout: { seconds: 5 } };
  rpc delete(Word) returns (Word);
  rpc Class(Word) returns (Word);
  rpc Import(Word) returns (Word);
  rpc Default(Word) returns (Word);
  rpc constructor(Word) returns (Word) { option (bowline.v1.method) = { timeout: { seconds: 1 } }; }
  rpc toString(Word) returns (Word);
  rpc HasOwnProperty(Word) returns (Word);
  rpc getURL(Word) returns (Word);
  rpc HTTPGet(Word) returns (Word);
  rpc snake_case(Word) returns (Word);
  rpc _Hidden(Word) returns (Word);
  rpc N2(Word) returns (Word);
}`,
  "delete/class/import.proto": `syntax = "proto3";
package delete.class.default;
message Function { string text = 1; }
message Date { Function function = 1; }
service new_ { rpc New(Date) returns (Function); }`,
  "globals.proto": `syntax = "proto3";
package globals;
import "other-name.v2.proto";
message Promise { string text = 1; }
message AsyncIterable { string text = 1; }
message Contract { string text = 1; }
message contract { string text = 1; }
message CallContext { string text = 1; }
message CallOptions { string text = 1; }
message ResponseStream { string text = 1; }
message descriptors { string text = 1; }
message OrderClient { string text = 1; }
message OrderHandlers { string text = 1; }
message OrderMessage { string text = 1; }
message Object { string text = 1; }
message Error { string text = 1; }
service Order {
  rpc A(Promise) returns (AsyncIterable);
  rpc B(Contract) returns (contract);
  rpc C(CallContext) returns (stream CallOptions);
  rpc D(stream ResponseStream) returns (stream descriptors);
  rpc E(stream other.Order) returns (OrderClient);
  rpc F(OrderHandlers) returns (OrderMessage);
  rpc G(Object) returns (Error);
}`,
  "services.proto": `syntax = "proto3";
package services;
message Word { string text = 1; }
service delete { rpc Get(Word) returns (Word); }
service contract { rpc Get(Word) returns (stream Word); }
service Contract { rpc Get(Word) returns (Word); }
service descriptors { rpc Get(Word) returns (Word); }
service Promise { rpc Get(Word) returns (Word); }
service DeepPartial { rpc Get(Word) returns (Word); }
service A { rpc Get(Word) returns (Word); }
service AClient { rpc Get(Word) returns (Word); }
service Empty {}`,
  "deep/er/nested.proto": `syntax = "proto3";
package deep.er;
import "other-name.v2.proto";
message Thing {
  message Inner_One { message inner_two { string text = 1; } }
  message Empty {}
}
message Empty {}
service Nested {
  rpc Own(Thing.Inner_One.inner_two) returns (Thing.Empty);
  rpc Same(Empty) returns (other.Empty);
  rpc Theirs(other.Thing.Inner_One.inner_two) returns (other.HTTP_THING);
}`,
  "other-name.v2.proto": `syntax = "proto3";
package other;
message Thing { message Inner_One { message inner_two { string text = 1; } } }
message Empty {}
message HTTP_THING { string text = 1; }
message Order { string text = 1; }`,
  "no/messages/alone.proto": `syntax = "proto3";
package no.messages;
import "google/protobuf/empty.proto";
import "google/protobuf/timestamp.proto";
import "google/protobuf/wrappers.proto";
import "other-name.v2.proto";
service Alone {
  rpc When(google.protobuf.Empty) returns (google.protobuf.Timestamp);
  rpc Name(stream google.protobuf.StringValue) returns (stream other.Empty);
}`,
  "cursors.proto": `syntax = "proto3";
package cursors;
import "bowline/v1/options.proto";
message Request {
  bool new = 10; bool is_new = 11; uint32 limit = 12; int32 at_most = 13; bool renamed = 14 [json_name = "what-ever"];
  string delete = 1; string after_2_times = 2; string UPPER_CASE = 3; string mixed_Case_ID = 4; string _leading = 5;
  string trailing_ = 6; string two__lines = 7; string named = 8 [json_name = "other-name"];
}
service Cursors {
${["delete", "after_2_times", "UPPER_CASE", "mixed_Case_ID", "_leading", "trailing_", "two__lines", "named"].map(watch).join("\n")}
${[
  ["new", "limit"],
  ["is_new", "at_most"],
  ["renamed", "limit"],
]
  .map(mark)
  .join("\n")}
}`,
};

/** A stream that resumes by one field. */
function watch(field: string, index: number): string {
  const resume = `{ request_field: "${field}" cursor_field: "${field}" }`;
  return stream(`Watch${index}`, `resume: ${resume}`);
}

/** A stream with heartbeats, which are progress markers too. */
function mark([mark, limit]: string[], index: number): string {
  const fields = `request_field: "named" cursor_field: "named" progress_field: "${mark}" limit_field: "${limit}"`;
  return stream(`Mark${index}`, `resume: { ${fields} } heartbeat: { field: "${mark}" }`);
}

function stream(name: string, policies: string): string {
  const options = `option idempotency_level = NO_SIDE_EFFECTS; option (bowline.v1.method) = { ${policies} };`;
  return `rpc ${name}(Request) returns (stream Request) { ${options} }`;
}

const workspace = new Workspace("names");
workspace.write(Object.fromEntries(Object.entries(protos).map(([path, text]) => [`proto/${path}`, text])));
const generated = bufGenerate(workspace, [
  { out: "gen" },
  { out: "json-names", options: [...OPTIONS, "useJsonName=true"] },
  { out: "snake", options: [...OPTIONS, "snakeToCamel=false"] },
]);

function load(path: string, out = "gen"): Promise<Record<string, Contract<ServiceDefinition, object, object>>> {
  return import(workspace.at(`${out}/${path}.contract.ts`));
}

test("buf runs ts-proto and the plugin", () => {
  expect(generated).toMatchObject({ status: 0, stderr: "" });
});

test("what is printed is strictly typed", () => {
  const problems = typeCheck(workspace, { isolatedDeclarations: true, declaration: true });
  expect(problems.filter((problem) => !problem.startsWith("src/"))).toEqual([]);
});

test("methods have the keys of ts-proto's definition", async () => {
  const { Words } = await load("no_package");
  expect(Words?.name).toBe("Words");
  expect(Object.keys(Words?.definition.methods ?? {})).toEqual([
    "delete",
    "class",
    "import",
    "default",
    "constructor",
    "toString",
    "hasOwnProperty",
    "getURL",
    "hTTPGet",
    "snake_case",
    "_Hidden",
    "n2",
  ]);
  expect(Words?.methods).toEqual({ constructor: { timeoutMs: 1000 } });
  expect(Words?.methods.toString).toBe(undefined);
});

test("a server and a client call each by its own name", async () => {
  const { Words } = await load("no_package");
  if (!Words) throw new Error("no contract");
  const keys = Object.keys(Words.definition.methods);
  const handlers = Object.fromEntries(
    keys.map((key) => [key, async ({ text }: { text: string }) => ({ text: `${key} ${text}` })]),
  );
  const server = createServer({ drainOn: [] }).add(Words, handlers);
  const port = await server.listen("127.0.0.1:0");
  onTestFinished(async () => void (await server.drain({ timeoutMs: 1 })));
  using client = createClient(Words, `127.0.0.1:${port}`);
  const call = (key: string) => Reflect.get(client, key)({ text: "called" });
  expect(await Promise.all(keys.map(call))).toEqual(keys.map((key) => ({ text: `${key} called` })));
});

test("services may be called what they like", async () => {
  const services = await load("services");
  const names = ["A", "AClient", "Contract", "DeepPartial", "Empty", "Promise", "contract", "delete_", "descriptors"];
  expect(Object.keys(services).toSorted()).toEqual(names);
  expect(services.delete_?.name).toBe("services.delete");
  expect((await load("delete/class/import")).new_?.name).toBe("delete.class.default.new_");
});

test.each([
  ["gen", ["delete", "after2Times", "upperCase", "mixedCaseID", "Leading", "trailing", "twoLines", "named"]],
  [
    "json-names",
    ["delete", "after2Times", "UPPERCASE", "mixedCaseID", "Leading", "trailing", "twoLines", "other-name"],
  ],
  ["snake", ["delete", "after_2_times", "UPPER_CASE", "mixed_Case_ID", "_leading", "trailing_", "two__lines", "named"]],
])("cursors have the fields of ts-proto's messages: %s", async (out, fields) => {
  const { Cursors } = await load("cursors", out);
  const accesses = Object.values(Cursors?.cursors ?? {}).slice(0, fields.length);
  expect(accesses.map((access) => access?.requestField)).toEqual(fields);
  const { requestType } = Cursors?.definition.methods.watch0 ?? {};
  for (const access of accesses) {
    const request = access?.write(requestType?.fromPartial?.({} as never), "here");
    expect(access?.read(requestType?.decode(requestType.encode(request).finish()))).toBe("here");
  }
});

test.each([
  ["gen", ["new", "isNew", "renamed"], ["limit", "atMost", "limit"]],
  ["json-names", ["new", "isNew", "what-ever"], ["limit", "atMost", "limit"]],
  ["snake", ["new", "is_new", "renamed"], ["limit", "at_most", "limit"]],
])("marks and limits have the fields of ts-proto's messages: %s", async (out, marks, limits) => {
  const { Cursors } = await load("cursors", out);
  const keys = ["mark0", "mark1", "mark2"];
  expect(Object.keys(Cursors?.heartbeats ?? {})).toEqual(keys);
  expect(keys.map((key) => Cursors?.heartbeats?.[key]?.field)).toEqual(marks);
  expect(keys.map((key) => Cursors?.cursors[key]?.progressField)).toEqual(marks);
  expect(keys.map((key) => Cursors?.cursors[key]?.limitField)).toEqual(limits);
  const empty = Cursors?.definition.methods.mark0?.responseType.decode(new Uint8Array());
  expect(Object.keys(empty)).toEqual(expect.arrayContaining([...marks, ...limits]));
});
