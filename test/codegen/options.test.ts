import { BinaryWriter } from "@bufbuild/protobuf/wire";
import { expect, test } from "vitest";
import { RULES, type Rule } from "../../src/codegen/ts-proto-rules.ts";
import { type BatchAccess, readEntry } from "../../src/contract/batch.ts";
import type { Contract } from "../../src/contract/contract.ts";
import type { MethodDefinition } from "../../src/contract/definition.ts";
import { bufGenerate, OPTIONS, STATUS, typeCheck, Workspace } from "./workspace.ts";

const everything = `syntax = "proto3";
package a.v1;
import "b/v1/b.proto";
import "bowline/v1/options.proto";
import "google/protobuf/any.proto";
import "google/protobuf/duration.proto";
import "google/protobuf/empty.proto";
import "google/protobuf/struct.proto";
import "google/protobuf/timestamp.proto";
import "google/protobuf/wrappers.proto";
import "google/rpc/status.proto";

// Everything at once.
service Everything {
  option (bowline.v1.service) = { timeout: { seconds: 2 } };
  ${watch("WatchInt", "after_int", "int_no")}
  ${watch("WatchOptional", "after_optional", "optional_no")}
  ${watch("WatchUint", "after_uint", "uint_no")}
  ${watch("WatchText", "after_text", "page_text")}
  ${watch("WatchBytes", "after_bytes", "position_bytes")}
  ${watch("WatchMarks", "after_int", "int_no", 'progress_field: "has_moved" limit_field: "at_most_int"')}
  ${watch("WatchOptionalMarks", "after_int", "int_no", 'progress_field: "maybe_moved" limit_field: "at_most_optional"')}
  rpc Chat(stream WatchRequest) returns (stream Event) {
    option (bowline.v1.method) = { heartbeat: { field: "maybe_moved" } };
  }
  ${batched("GetEntry", 'responses_field: "some_entries" response_field: "the_event" status_field: "the_status"')}
  ${batched("GetPacked", 'responses_field: "some_entries" response_field: "a_packed" status_field: "a_status"')}
  ${batched("GetBare", 'responses_field: "bare_events"')}
  rpc GetMany(ManyRequests) returns (ManyEvents);
  rpc Nested(Outer.Inner_Most.Request) returns (b.v1.Outer.Inner);
  rpc Nothing(google.protobuf.Empty) returns (google.protobuf.Empty);
  rpc When(google.protobuf.Timestamp) returns (google.protobuf.Duration);
  rpc Wrap(stream google.protobuf.StringValue) returns (google.protobuf.Struct);
  rpc Any(stream google.protobuf.Any) returns (stream google.protobuf.Value);
}
enum Color { COLOR_UNSPECIFIED = 0; COLOR_RED = 1; }
message Outer { message Inner_Most { message Request { string some_name = 1; } } }
message WatchRequest {
  int64 after_int = 1; optional sint64 after_optional = 2; fixed64 after_uint = 3; string after_text = 4;
  bytes after_bytes = 5; fixed64 at_most_int = 6; optional sint32 at_most_optional = 7;
}
message ManyRequests { repeated WatchRequest some_requests = 1; }
message ManyEvents { repeated Entry some_entries = 1; repeated Event bare_events = 2; }
message Entry {
  Event the_event = 1; google.rpc.Status the_status = 2;
  oneof one_result { Event a_packed = 3; google.rpc.Status a_status = 4; }
}
message Event {
  sfixed64 int_no = 1; optional int64 optional_no = 2; uint64 uint_no = 3; string page_text = 4;
  bytes position_bytes = 5; Color color = 6;
  oneof thing { string a_string = 7; Outer an_outer = 8; }
  map<string, int64> by_name = 9; map<int64, Event> by_number = 10;
  google.protobuf.Timestamp time = 11; google.protobuf.Duration duration = 12; google.protobuf.Struct struct = 13;
  google.protobuf.Any anything = 14; google.protobuf.Int64Value wrapped = 15; google.protobuf.Value value = 16;
  repeated Color colors = 17; string jason = 18 [json_name = "argonaut"];
  bool has_moved = 19; optional bool maybe_moved = 20;
}`;

/** A stream that resumes. */
function watch(name: string, request: string, response: string, more = ""): string {
  const resume = `{ request_field: "${request}" cursor_field: "${response}" ${more} }`;
  const options = `option idempotency_level = IDEMPOTENT; option (bowline.v1.method) = { resume: ${resume} };`;
  return `rpc ${name}(WatchRequest) returns (stream Event) { ${options} }`;
}

/** A method whose calls are batched. */
function batched(name: string, fields: string): string {
  const batch = `{ method: "GetMany" requests_field: "some_requests" ${fields} }`;
  return `rpc ${name}(WatchRequest) returns (Event) { option (bowline.v1.method).batch = ${batch}; }`;
}

/** What is given where anything goes. */
const SAMPLES: Record<string, readonly string[]> = {
  importSuffix: [".ts", ".js", ""],
  fileSuffix: ["", ".pb"],
  unrecognizedEnumName: ["OTHER"],
  unrecognizedEnumValue: ["-2"],
  metadataType: ["Foo@./foo"],
  typePrefix: ["T", ""],
  typeSuffix: ["", "T"],
  messagePrefix: ["M", ""],
  messageSuffix: ["", "M"],
  enumPrefix: ["E", ""],
  enumSuffix: ["", "E"],
};

function valuesOf(name: string, rule: Rule): readonly string[] {
  return rule === "any" ? (SAMPLES[name] ?? []) : rule.values;
}

/** A few lists of options in which each value of each option occurs. */
function variants(): string[][] {
  const rules = [...RULES].filter(([name]) => name !== "emitImportedFiles");
  const most = Math.max(...rules.map(([name, rule]) => valuesOf(name, rule).length));
  return Array.from({ length: most }, (_, index) => [
    "outputServices=generic-definitions",
    ...["outputServices=nice-grpc", "outputServices=grpc-js"].slice(index, index + 1),
    ...rules.map(([name, rule]) => {
      const values = valuesOf(name, rule);
      return `${name}=${values[index % values.length]}`;
    }),
  ]);
}

const workspace = new Workspace("options");
const inner = 'syntax = "proto3"; package b.v1; message Outer { message Inner { int64 n = 1; } }';
workspace.write({ "proto/a/v1/a.proto": everything, "proto/b/v1/b.proto": inner });
workspace.write({ "proto/google/rpc/status.proto": STATUS });
const lists = variants();
const outs = lists.map((options, index) => ({ out: `gen/${index}`, options }));
const generated = bufGenerate(workspace, outs);

test("ts-proto and the plugin take every value of every option that fits", () => {
  expect(generated).toMatchObject({ status: 0, stderr: "" });
});

test("contracts that are printed with them are strictly typed", () => {
  const options = { module: "esnext", moduleResolution: "bundler", erasableSyntaxOnly: false };
  const complaints = typeCheck(workspace, options);
  expect(complaints.filter((line) => line.includes(".contract.ts"))).toEqual([]);
  // Options of ts-proto that do not go together, of which each compiles alone.
  const own = new Set(complaints.map((line) => line.replace(/.*\/gen\/(\d).*error (TS\d+).*/, "$1 $2")));
  expect([...own].toSorted()).toEqual(["2 TS2540", "2 TS2741", "3 TS2741", "4 TS2552"]);
});

/** The same position in a response and in a request, on the wire. */
const POSITIONS: Record<string, readonly [response: Uint8Array, request: Uint8Array]> = {
  watchInt: [wire().uint32(0x09).sfixed64(-5n).finish(), wire().uint32(0x08).int64(-5n).finish()],
  watchOptional: [wire().uint32(0x10).int64(-6n).finish(), wire().uint32(0x10).sint64(-6n).finish()],
  watchUint: [wire().uint32(0x18).uint64(7n).finish(), wire().uint32(0x19).fixed64(7n).finish()],
  watchText: [wire().uint32(0x22).string("here").finish(), wire().uint32(0x22).string("here").finish()],
  watchBytes: [
    wire().uint32(0x2a).bytes(Uint8Array.of(1, 2)).finish(),
    wire().uint32(0x2a).bytes(Uint8Array.of(1, 2)).finish(),
  ],
};

function wire(): BinaryWriter {
  return new BinaryWriter();
}

test.each(outs)("cursors go from response to request: $out", async ({ out }) => {
  const { Everything } = (await import(workspace.at(`${out}/a/v1/a.contract.ts`))) as { Everything: Contract };
  expect(Object.keys(Everything.cursors)).toEqual([...Object.keys(POSITIONS), "watchMarks", "watchOptionalMarks"]);
  for (const [key, [response, request]] of Object.entries(POSITIONS)) {
    const { requestType, responseType } = Everything.definition.methods[key] as MethodDefinition;
    const access = Everything.cursors[key];
    const cursor = access?.read(responseType.decode(response));
    const written = access?.write(requestType.decode(new Uint8Array()), cursor);
    expect(Buffer.from(requestType.encode(written).finish())).toEqual(Buffer.from(request));
  }
});

/** The marks of a response on the wire, and the limit of a request, each with its method. */
const MARKS = [
  ["watchMarks", wire().uint32(0x98).uint32(1).finish(), wire().uint32(0x31).fixed64(3n).finish()],
  ["watchOptionalMarks", wire().uint32(0xa0).uint32(1).finish(), wire().uint32(0x38).sint32(3).finish()],
] as const;

test.each(outs)("marks and limits are read by the fields that a contract names: $out", async ({ out }) => {
  const { Everything } = (await import(workspace.at(`${out}/a/v1/a.contract.ts`))) as { Everything: Contract };
  for (const [key, response, request] of MARKS) {
    const { requestType, responseType } = Everything.definition.methods[key] as MethodDefinition;
    const { progressField = "", limitField = "" } = Everything.cursors[key] ?? {};
    expect(responseType.decode(response)[progressField]).toBe(true);
    expect(responseType.decode(new Uint8Array())[progressField] ?? false).toBe(false);
    expect(Number(requestType.decode(request)[limitField])).toBe(3);
  }
  const { chat } = Everything.heartbeats ?? {};
  const { responseType } = Everything.definition.methods.chat as MethodDefinition;
  expect(responseType.decode(wire().uint32(0xa0).uint32(1).finish())[chat?.field ?? ""]).toBe(true);
});

/** An entry of a batch's response on the wire: of its own, packed into a oneof, or the response itself; the last fails. */
const EVENT = wire().uint32(0x22).string("here").finish();
const FAILURE = wire().uint32(0x08).int32(5).finish();
const of = (tag: number, bytes: Uint8Array) => wire().uint32(tag).bytes(bytes).finish();
const BATCHES = [
  ["getEntry", of(0x0a, of(0x0a, EVENT)), of(0x0a, of(0x12, FAILURE))],
  ["getPacked", of(0x0a, of(0x1a, EVENT)), of(0x0a, of(0x22, FAILURE))],
  ["getBare", of(0x12, EVENT), of(0x12, new Uint8Array())],
] as const;

test.each(outs)("requests go into a batch, and entries come out of it: $out", async ({ out }) => {
  const { Everything } = (await import(workspace.at(`${out}/a/v1/a.contract.ts`))) as { Everything: Contract };
  for (const [key, good, bad] of BATCHES) {
    const access = Everything.batches?.[key] as BatchAccess;
    const { requestType, responseType } = Everything.definition.methods[access.method] as MethodDefinition;
    const { requestType: single, responseType: response } = Everything.definition.methods[key] as MethodDefinition;
    const request = single.decode(wire().uint32(0x22).string("after").finish());
    const complete = requestType.fromPartial?.({ [access.requestsField]: [request, request] } as never);
    const twice = wire().uint32(0x0a).bytes(single.encode(request).finish());
    expect(Buffer.from(requestType.encode(complete).finish())).toEqual(
      Buffer.from(twice.uint32(0x0a).bytes(single.encode(request).finish()).finish()),
    );
    const [first] = responseType.decode(good)[access.responsesField];
    const [second] = responseType.decode(bad)[access.responsesField];
    const answer = readEntry(first, access);
    expect(Buffer.from(response.encode(answer.response).finish())).toEqual(Buffer.from(EVENT));
    expect(answer.status).toBe(undefined);
    expect((readEntry(second, access).status as { code: number } | undefined)?.code).toBe(
      access.statusField === undefined ? undefined : 5,
    );
  }
});

test("imported files may be printed by somebody else", () => {
  const alone = new Workspace("options-alone");
  alone.write({ "proto/alone.proto": 'syntax = "proto3"; message M {} service S { rpc Get(M) returns (M); }' });
  const options = [...OPTIONS, "emitImportedFiles=false"];
  expect(bufGenerate(alone, [{ out: "gen", options, excludeTypes: [] }])).toMatchObject({ status: 0, stderr: "" });
  expect(typeCheck(alone)).toEqual([]);
});
