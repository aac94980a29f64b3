import { readdirSync } from "node:fs";
import { create } from "@bufbuild/protobuf";
import { FileDescriptorProtoSchema, FileDescriptorSetSchema } from "@bufbuild/protobuf/wkt";
import { describe, expect, test } from "vitest";
import { generate } from "../../src/codegen/generate.ts";
import { bufGenerate, compile, OPTIONS, requestFor, Workspace } from "./workspace.ts";

/** A contract that is refused: its text, a mark before each place that is wrong, and what is said about each. */
type Row = readonly [text: string, ...problems: string[]];

const MARK = "▸";

const types = `message M {}
message Positions {
  int64 i = 1; sint64 s = 2; uint64 u = 3; string text = 4; bytes raw = 5; optional int64 maybe = 6;
  int32 small = 7; repeated int64 many = 8; map<string, int64> by_name = 9; oneof either { int64 one = 10; }
  M sub = 11; E kind = 12; double ratio = 13;
}
message Marks {
  int64 i = 1; bool moved = 2; optional bool beat = 3; repeated bool all = 4; oneof either { bool one = 5; }
  int32 small = 6; google.protobuf.BoolValue wrapped = 7; E kind = 8; map<string, bool> by_name = 9;
}
enum E { E_UNSPECIFIED = 0; }`;

function service(...lines: string[]): string {
  return `service S {\n${lines.join("\n")}\n}\n${types}`;
}

/** A method that is safe to repeat, with these policies. */
function safe(policies: string): string {
  const options = [`option idempotency_level = IDEMPOTENT;`, `option (bowline.v1.method) = { ${policies} };`];
  return service("rpc Get(M) returns (M) {", ...options, "}");
}

/** A method with these options. */
function unary(...options: string[]): string {
  return service("rpc Get(M) returns (M) {", ...options, "}");
}

/** A server-stream that resumes. */
function resume(policy: string): string {
  return service(
    "rpc Watch(Positions) returns (stream Positions) {",
    "option idempotency_level = NO_SIDE_EFFECTS;",
    `option (bowline.v1.method) = { ${policy} };`,
    "}",
  );
}

/** A stream of marks that resumes, with these further settings. */
function marked(more: string): string {
  const policy = `resume: { request_field: "i" cursor_field: "i" ${more}`;
  return resume(policy).replace("stream Positions", "stream Marks");
}

/** A stream of marks with heartbeats. */
function beating(policy: string, requests = "M"): string {
  return service(`rpc Watch(${requests}) returns (stream Marks) {`, `option (bowline.v1.method) = { ${policy} };`, "}");
}

const UNSAFE = "on a method that is not safe to repeat: set idempotency_level, or idempotency_key: {}";
const ONE_OF = "a cursor must be one int64, sint64, sfixed64, uint64, fixed64, string or bytes";
const FIELDS = "it has i, s, u, text, raw, maybe, small, many, by_name, one, sub, kind, ratio";
const MARKS = "it has i, moved, beat, all, one, small, wrapped, kind, by_name";
const LIMIT =
  "a limit must be one int32, sint32, sfixed32, uint32, fixed32, int64, sint64, sfixed64, uint64 or fixed64";
const COUNT = "must be a whole number of at least 1; it is";
const ATTEMPTS = "must be a whole number of at least 2, the first attempt included; it is";
const RENAME = "rename it, or give ts-proto a typeSuffix";

const rows: Record<string, Row> = {
  "retry and hedge together": [
    safe("retry: { max_attempts: 3 }\n  hedge: { ▸max_attempts: 2 }"),
    "retry and hedge exclude each other (gRFC A6): keep one of them",
  ],
  "retry on a method that is neither idempotent nor keyed": [
    unary("option (bowline.v1.method) = { retry: { ▸max_attempts: 3 } };"),
    `retry ${UNSAFE}`,
  ],
  "hedge on a method that is neither idempotent nor keyed": [
    unary("option ▸(bowline.v1.method).hedge = { };"),
    `hedge ${UNSAFE}`,
  ],
  "retry on a client-stream": [
    service("rpc Put(stream M) returns (M) {", "option ▸(bowline.v1.method) = { retry: {} idempotency_key: {} };", "}"),
    "retry on a client-stream method: once a message was sent it cannot be sent again",
  ],
  "hedge on a bidi method": [
    service(
      "rpc Chat(stream M) returns (stream M) {",
      "option ▸(bowline.v1.method) = { hedge: {} idempotency_key: {} };",
      "}",
    ),
    "hedge on a bidi method: once a message was sent it cannot be sent again",
  ],
  "max_attempts below 2": [safe("retry: { ▸max_attempts: 1 }"), `retry.max_attempts: ${ATTEMPTS} 1`],
  "max_attempts of no attempt": [safe("hedge: { ▸max_attempts: 0 }"), `hedge.max_attempts: ${ATTEMPTS} 0`],
  "a zero timeout": [safe("timeout: { ▸seconds: 0 }"), "timeout: must be greater than zero; it is 0 ms"],
  "a zero timeout, written short": [
    unary("option ▸(bowline.v1.method).timeout = {};"),
    "timeout: must be greater than zero; it is 0 ms",
  ],
  "a negative timeout": [
    safe("timeout: { ▸seconds: -1 nanos: -500000000 }"),
    "timeout: must be greater than zero; it is -1500 ms",
  ],
  "a zero timeout of a service": [
    service("option (bowline.v1.service) = { timeout: { ▸seconds: 0 } };", "rpc Get(M) returns (M);"),
    "timeout: must be greater than zero; it is 0 ms",
  ],
  "a duration of two signs": [
    safe("timeout: { ▸seconds: 2 nanos: -1 }"),
    "timeout: is no duration: nanos must be within 999999999 and have the sign of seconds; they are -1",
  ],
  "a duration of too many nanos": [
    safe("timeout: { ▸nanos: 1000000000 }"),
    "timeout: is no duration: nanos must be within 999999999 and have the sign of seconds; they are 1000000000",
  ],
  "an unknown status name": [safe('retry: { ▸codes: ["SOMETIMES"] }'), 'retry.codes: gRPC has no status "SOMETIMES"'],
  "an unknown status number": [
    safe('hedge: { ▸non_fatal_codes: "17" }'),
    'hedge.non_fatal_codes: gRPC has no status "17"',
  ],
  "a status that is no failure": [
    safe('retry: { codes: "UNAVAILABLE" ▸codes: "ok" }'),
    "retry.codes: OK is no failure",
  ],
  "statuses in a list, which has one place for all": [
    safe('retry: { ▸▸codes: ["NEVER", "UNAVAILABLE",\n "EVER"] }'),
    'retry.codes: gRPC has no status "NEVER"',
    'retry.codes: gRPC has no status "EVER"',
  ],
  "statuses in lists, whose places the compiler counts otherwise": [
    safe('retry: { ▸codes: ["INTERNAL", "ABORTED"]\n codes: "EVER" }'),
    'retry.codes: gRPC has no status "EVER"',
  ],
  "a backoff of nothing": [
    safe("retry: { initial_backoff: { ▸nanos: 0 } }"),
    "retry.initial_backoff: must be greater than zero; it is 0 ms",
  ],
  "an upper bound of nothing": [
    safe("retry: { max_backoff: { ▸nanos: 0 } }"),
    "retry.max_backoff: must be greater than zero; it is 0 ms",
  ],
  "a multiplier of nothing": [
    safe("retry: { ▸multiplier: 0 }"),
    "retry.multiplier: must be greater than zero; it is 0",
  ],
  "a multiplier without bounds": [
    safe("retry: { ▸multiplier: inf }"),
    "retry.multiplier: must be a finite number; it is Infinity",
  ],
  "an attempt without time": [
    safe("retry: { attempt_timeout: { ▸nanos: 0 } }"),
    "retry.attempt_timeout: must be greater than zero; it is 0 ms",
  ],
  "a jitter of another version": [
    safe("retry: { ▸jitter: 9 }"),
    "retry.jitter: Jitter has no value 9; it has JITTER_UNSPECIFIED, JITTER_FULL, JITTER_EQUAL, JITTER_DECORRELATED, JITTER_A6",
  ],
  "a negative delay of hedges": [
    safe("hedge: { delay: { ▸nanos: -1 } }"),
    "hedge.delay: must not be negative; it is -0.000001 ms",
  ],
  "what a breaker cannot work with": [
    safe(`breaker: {
      ▸failure_ratio: 0
      ▸slow_ratio: 1.5
      slow: { ▸nanos: 0 }
      window: { ▸nanos: 0 }
      ▸minimum_calls: 0
      open: { ▸nanos: 0 }
      max_open: { ▸nanos: 0 }
      ▸trials: 0
    }`),
    "breaker.failure_ratio: must be a ratio above 0 and at most 1; it is 0",
    "breaker.slow_ratio: must be a ratio above 0 and at most 1; it is 1.5",
    "breaker.slow: must be greater than zero; it is 0 ms",
    "breaker.window: must be greater than zero; it is 0 ms",
    "breaker.minimum_calls: must be a whole number of at least 1; it is 0",
    "breaker.open: must be greater than zero; it is 0 ms",
    "breaker.max_open: must be greater than zero; it is 0 ms",
    "breaker.trials: must be a whole number of at least 1; it is 0",
  ],
  "a ratio that is no number": [
    safe("breaker: { ▸failure_ratio: nan }"),
    "breaker.failure_ratio: must be a finite number; it is NaN",
  ],
  "a breaker of a service": [
    service("option (bowline.v1.service).breaker = { ▸failure_ratio: 2 };"),
    "breaker.failure_ratio: must be a ratio above 0 and at most 1; it is 2",
  ],
  "a key that is kept for no time": [
    unary("option (bowline.v1.method) = { idempotency_key: { ttl: { ▸nanos: 0 } } };"),
    "idempotency_key.ttl: must be greater than zero; it is 0 ms",
  ],
  "resume on a unary method": [
    service(
      "rpc Get(Positions) returns (Positions) {",
      'option (bowline.v1.method) = { resume: { ▸request_field: "i" cursor_field: "i" } };',
      "}",
    ),
    "resume on a unary method: only a server-stream can be resumed",
  ],
  "resume on a bidi method": [
    service(
      "rpc Chat(stream Positions) returns (stream Positions) {",
      'option (bowline.v1.method) = { resume: { ▸request_field: "i" cursor_field: "i" } };',
      "}",
    ),
    "resume on a bidi method: only a server-stream can be resumed",
  ],
  "resume without fields": [
    service(
      "rpc Watch(M) returns (stream Positions) { option idempotency_level = IDEMPOTENT;",
      "option ▸▸(bowline.v1.method) = { resume: {} };",
      "}",
    ),
    "request_field is missing: name the field of M that holds the position; it has none",
    `cursor_field is missing: name the field of Positions that holds the position; ${FIELDS}`,
  ],
  "cursor fields that do not exist": [
    resume('resume: { ▸request_field: "after" ▸cursor_field: "revision" }'),
    `resume.request_field: Positions has no field after; ${FIELDS}`,
    `resume.cursor_field: Positions has no field revision; ${FIELDS}`,
  ],
  "a cursor field of another type than the request's": [
    resume('resume: { ▸request_field: "i" cursor_field: "u" }'),
    "request_field and cursor_field must be of one type; Positions.i is int64, Positions.u is uint64",
  ],
  "cursor fields that are text and bytes": [
    resume('resume: { ▸request_field: "text" cursor_field: "raw" }'),
    "request_field and cursor_field must be of one type; Positions.text is string, Positions.raw is bytes",
  ],
  "a cursor of 32 bits": [
    resume('resume: { ▸request_field: "small" ▸cursor_field: "ratio" }'),
    `resume.request_field: Positions.small is int32: ${ONE_OF}`,
    `resume.cursor_field: Positions.ratio is double: ${ONE_OF}`,
  ],
  "a cursor that is many": [
    resume('resume: { ▸request_field: "many" ▸cursor_field: "by_name" }'),
    `resume.request_field: Positions.many is repeated: ${ONE_OF}`,
    `resume.cursor_field: Positions.by_name is a map: ${ONE_OF}`,
  ],
  "a cursor that is a message or an enum": [
    resume('resume: { ▸request_field: "sub" ▸cursor_field: "kind" }'),
    `resume.request_field: Positions.sub is the message PACKAGE.M: ${ONE_OF}`,
    `resume.cursor_field: Positions.kind is the enum PACKAGE.E: ${ONE_OF}`,
  ],
  "a cursor in a oneof": [
    resume('resume: { request_field: "maybe" ▸cursor_field: "one" }'),
    "resume.cursor_field: one is in the oneof either: a cursor must be a field of its own",
  ],
  "resume on a method that is not safe to repeat": [
    service(
      "rpc Watch(Positions) returns (stream Positions) {",
      'option (bowline.v1.method) = { idempotency_key: {} resume: { ▸request_field: "i" cursor_field: "i" } };',
      "}",
    ),
    "resume on a method that is not safe to repeat: set idempotency_level; no key makes another request safe",
  ],
  "what a stream cannot be resumed with": [
    resume(`resume: {
      request_field: "i"
      cursor_field: "i"
      ▸codes: "SOMETIMES"
      ▸codes: "out_of_range"
      ▸max_failures: 0
      initial_backoff: { ▸nanos: 0 }
      max_backoff: { ▸nanos: 0 }
      ▸multiplier: -2
      ▸jitter: 9
    }`),
    'resume.codes: gRPC has no status "SOMETIMES"',
    "resume.codes: OUT_OF_RANGE says that the position has expired, and never reopens: leave it out",
    `resume.max_failures: ${COUNT} 0`,
    "resume.initial_backoff: must be greater than zero; it is 0 ms",
    "resume.max_backoff: must be greater than zero; it is 0 ms",
    "resume.multiplier: must be greater than zero; it is -2",
    "resume.jitter: Jitter has no value 9; it has JITTER_UNSPECIFIED, JITTER_FULL, JITTER_EQUAL, JITTER_DECORRELATED, JITTER_A6",
  ],
  "a wait before the first reopening that is longer than any": [
    resume(`resume: {
      request_field: "i" cursor_field: "i"
      initial_backoff: { ▸seconds: 2 }
      max_backoff: { seconds: 1 }
    }`),
    "resume.initial_backoff: must not be greater than the greatest backoff, 1000 ms; it is 2000 ms",
  ],
  "a marker and a limit that do not exist": [
    marked('▸progress_field: "bookmark" ▸limit_field: "moved" }'),
    `resume.progress_field: Marks has no field bookmark; ${MARKS}`,
    `resume.limit_field: Positions has no field moved; ${FIELDS}`,
  ],
  "a marker that is no bool, and a limit that is no integer": [
    marked('▸progress_field: "small" ▸limit_field: "ratio" }'),
    "resume.progress_field: Marks.small is int32: a progress marker must be one bool",
    `resume.limit_field: Positions.ratio is double: ${LIMIT}`,
  ],
  "a marker that is an enum, and a limit that is text": [
    marked('▸progress_field: "kind" ▸limit_field: "text" }'),
    "resume.progress_field: Marks.kind is the enum PACKAGE.E: a progress marker must be one bool",
    `resume.limit_field: Positions.text is string: ${LIMIT}`,
  ],
  "a marker and a limit that are many": [
    marked('▸progress_field: "all" ▸limit_field: "many" }'),
    "resume.progress_field: Marks.all is repeated: a progress marker must be one bool",
    `resume.limit_field: Positions.many is repeated: ${LIMIT}`,
  ],
  "a marker and a limit that are in a oneof": [
    marked('▸progress_field: "one" ▸limit_field: "one" }'),
    "resume.progress_field: one is in the oneof either: a progress marker must be a field of its own",
    "resume.limit_field: one is in the oneof either: a limit must be a field of its own",
  ],
  "a limit that is the position": [
    marked('progress_field: "beat" ▸limit_field: "i" }'),
    "resume.limit_field: i is request_field too: a limit must be a field of its own",
  ],
  "heartbeats without a field": [
    beating("heartbeat: { interval: { ▸seconds: 5 } }"),
    `heartbeat.field is missing: name the field of Marks that marks a heartbeat; ${MARKS}`,
  ],
  "heartbeats with a field that does not exist": [
    beating('heartbeat: { ▸field: "heartbeat" }'),
    `heartbeat.field: Marks has no field heartbeat; ${MARKS}`,
  ],
  "a heartbeat that is a wrapper": [
    beating('heartbeat: { ▸field: "wrapped" }'),
    "heartbeat.field: Marks.wrapped is the message google.protobuf.BoolValue: a heartbeat must be one bool",
  ],
  "a heartbeat that is a map": [
    beating('heartbeat: { ▸field: "by_name" }'),
    "heartbeat.field: Marks.by_name is a map: a heartbeat must be one bool",
  ],
  "a heartbeat in a oneof": [
    beating('heartbeat: { ▸field: "one" }'),
    "heartbeat.field: one is in the oneof either: a heartbeat must be a field of its own",
  ],
  "heartbeats that come too often, and are missed at once": [
    beating('heartbeat: { field: "beat" interval: { ▸nanos: 9000000 } ▸missed: 0 }', "stream M"),
    "heartbeat.interval: must be at least 10 ms, which timers can keep; it is 9 ms",
    `heartbeat.missed: ${COUNT} 0`,
  ],
  "heartbeats that come after the stream's end": [
    beating('timeout: { seconds: 4 } heartbeat: { field: "beat" interval: { ▸seconds: 5 } }'),
    "heartbeat.interval: must not be greater than the timeout, 4000 ms; it is 5000 ms",
  ],
  "heartbeats on a unary method": [
    service("rpc Get(M) returns (Marks) {", 'option ▸(bowline.v1.method).heartbeat = { field: "beat" };', "}"),
    "heartbeat on a unary method: only a stream of responses can have heartbeats",
  ],
  "heartbeats on a client-stream, of a field that is not there": [
    service("rpc Put(stream M) returns (M) {", 'option ▸(bowline.v1.method).heartbeat = { ▸field: "beat" };', "}"),
    "heartbeat on a client-stream method: only a stream of responses can have heartbeats",
    "heartbeat.field: M has no field beat; it has none",
  ],
  "all that can be wrong with one stream": [
    service(
      "rpc Watch(Positions) returns (stream Marks) { option (bowline.v1.method) = {",
      'resume: { ▸▸request_field: "ratio" ▸cursor_field: "moved" ▸progress_field: "i" ▸limit_field: "kind" }',
      'heartbeat: { ▸field: "i" interval: { ▸nanos: 1 } }',
      "}; }",
    ),
    "resume on a method that is not safe to repeat: set idempotency_level; no key makes another request safe",
    `resume.request_field: Positions.ratio is double: ${ONE_OF}`,
    `resume.cursor_field: Marks.moved is bool: ${ONE_OF}`,
    "resume.progress_field: Marks.i is int64: a progress marker must be one bool",
    `resume.limit_field: Positions.kind is the enum PACKAGE.E: ${LIMIT}`,
    "heartbeat.field: Marks.i is int64: a heartbeat must be one bool",
    "heartbeat.interval: must be at least 10 ms, which timers can keep; it is 0.000001 ms",
  ],
  "messages and enums whose names are words of TypeScript": [
    "message ▸class {} message Fine { message string {} message class {} } enum ▸any { ANY = 0; }",
    `message class: class is a reserved word of TypeScript; ${RENAME}`,
    `enum any: any is a reserved word of TypeScript; ${RENAME}`,
  ],
  "a message that has the name of one of ts-proto's own": [
    "message Fine { map<string, string> first = 1; } message ▸DeepPartial {}",
    `message DeepPartial: ts-proto has a DeepPartial of its own in each module; ${RENAME}`,
  ],
  "a message that has the name of a definition": [
    "message ▸SDefinition {} service S {}",
    `message SDefinition: ts-proto has a SDefinition of its own, the service's definition; ${RENAME}`,
  ],
  "rpcs that have one name in TypeScript": [
    service("rpc Get(M) returns (M);", "rpc ▸get(M) returns (M);"),
    "rpc get and rpc Get are both get in TypeScript; rename one of them",
  ],
  "an rpc that no object can have": [
    service("rpc ▸__proto__(M) returns (M);"),
    "rpc __proto__: no object in JavaScript can have it; rename it",
  ],
  "many things at once": [
    service(
      "option (bowline.v1.service) = { timeout: { ▸seconds: 0 } };",
      "rpc Get(M) returns (M) { option (bowline.v1.method) = { retry: { ▸▸max_attempts: 1 } hedge: { ▸▸▸max_attempts: 0 } }; }",
      "rpc Watch(M) returns (M) { option ▸▸▸(bowline.v1.method) = { resume: {} }; }",
    ),
    "timeout: must be greater than zero; it is 0 ms",
    `retry.max_attempts: ${ATTEMPTS} 1`,
    `retry ${UNSAFE}`,
    `hedge.max_attempts: ${ATTEMPTS} 0`,
    "retry and hedge exclude each other (gRFC A6): keep one of them",
    `hedge ${UNSAFE}`,
    "resume on a unary method: only a server-stream can be resumed",
    "request_field is missing: name the field of M that holds the position; it has none",
    "cursor_field is missing: name the field of M that holds the position; it has none",
  ],
};

/** A row as a file, and as what is expected to be said about it. */
function toCase([title, [text, ...problems]]: [string, Row]) {
  const name = title.toLowerCase().replace(/[^a-z0-9]+/g, "_");
  const marked = `syntax = "proto3"; package ${name}; import "bowline/v1/options.proto"; import "google/protobuf/wrappers.proto";\n${text}\n`;
  const places = marked.split(MARK).slice(0, -1);
  let before = "";
  const expected = places.map((part, index) => {
    before += part;
    const column = before.length - before.lastIndexOf("\n");
    return `${name}.proto:${before.split("\n").length}:${column}: ${problems[index]?.replace("PACKAGE", name)}`;
  });
  return { title, file: `${name}.proto`, text: marked.replaceAll(MARK, ""), expected };
}

const cases = Object.entries(rows).map(toCase);
const workspace = new Workspace("errors");
workspace.write(Object.fromEntries(cases.map(({ file, text }) => [`proto/${file}`, text])));
const set = compile(workspace);

describe("a bad contract is refused", () => {
  test.each(cases)("$title", ({ file, expected }) => {
    const { response, notes } = generate(requestFor(set, [file]));
    expect(response.error.split("\n").slice(1)).toEqual(expected);
    expect({ files: response.file, notes }).toEqual({ files: [], notes: [] });
  });
});

test("all files are told about at once, in order", () => {
  const files = cases.map(({ file }) => file);
  const { response } = generate(requestFor(set, files.toReversed()));
  const expected = cases.toSorted((a, b) => (a.file < b.file ? -1 : 1)).flatMap(({ expected }) => expected);
  expect(response.error).toBe([`${expected.length} problems`, ...expected].join("\n"));
});

test("editions are refused, imported ones too", () => {
  const editions = new Workspace("editions");
  editions.write({
    "proto/a.proto": 'syntax = "proto3"; package a; import "b.proto"; service S { rpc Get(b.M) returns (b.M); }',
    "proto/b.proto": '// Newer.\n\nedition = "2023"; package b; import public "c.proto"; message M {}',
    "proto/c.proto": '  edition = "2024"; package c;',
  });
  const { response } = generate(requestFor(compile(editions, []), ["a.proto"]));
  const refused =
    'editions are not supported: ts-proto ignores their features and would write other bytes; say syntax = "proto3"';
  expect(response.error).toBe(["2 problems", `b.proto:3:1: ${refused}`, `c.proto:1:3: ${refused}`].join("\n"));
});

test("editions that cannot even be read are refused, and the rest is looked into", () => {
  const future = create(FileDescriptorProtoSchema, { name: "future.proto", syntax: "editions", edition: 1002 });
  const file = [...set.file, future];
  const names = ["a_zero_timeout.proto", "future.proto"];
  const { response } = generate(requestFor(create(FileDescriptorSetSchema, { file }), names));
  expect(response.error.split("\n")).toEqual([
    "2 problems",
    "a_zero_timeout.proto:5:43: timeout: must be greater than zero; it is 0 ms",
    expect.stringContaining("future.proto:1:1: editions are not supported"),
  ]);
});

test("cursor fields of one type are refused if jstype makes them two", () => {
  const jstype = new Workspace("jstype");
  const text = `syntax = "proto3"; import "bowline/v1/options.proto";
message Request { int64 after = 1 [jstype = JS_STRING]; }
message Event { int64 revision = 1; int64 text = 2 [jstype = JS_STRING]; }
service S {
  rpc Bad(Request) returns (stream Event) { option idempotency_level = IDEMPOTENT;
    option (bowline.v1.method) = { resume: { request_field: "after" cursor_field: "revision" } };
  }
  rpc Good(Request) returns (stream Event) { option idempotency_level = IDEMPOTENT;
    option (bowline.v1.method) = { resume: { request_field: "after" cursor_field: "text" } };
  }
}`;
  jstype.write({ "proto/jstype.proto": text });
  const set = compile(jstype);
  const { response } = generate(requestFor(set, ["jstype.proto"], [...OPTIONS, "useJsTypeOverride=true"]));
  expect(response.error).toBe(
    "1 problem\njstype.proto:6:46: request_field and cursor_field must be of one type; Request.after is int64 with jstype JS_STRING, Event.revision is int64",
  );
  expect(generate(requestFor(set, ["jstype.proto"])).response.error).toBe("");
});

test("a mark that every message of proto2 bears is refused", () => {
  const proto2 = new Workspace("proto2");
  const text = `syntax = "proto2"; import "bowline/v1/options.proto";
message Request { required int64 after = 1; optional int32 most = 2 [default = 5]; }
message Event { required int64 revision = 1; optional bool moved = 2 [default = true]; required bool beat = 3; }
service S {
  rpc Bad(Request) returns (stream Event) { option idempotency_level = IDEMPOTENT; option (bowline.v1.method) = {
    resume: { request_field: "after" cursor_field: "revision" progress_field: "moved" limit_field: "most" }
    heartbeat: { field: "moved" }
  }; }
  rpc Good(Request) returns (stream Event) { option idempotency_level = IDEMPOTENT; option (bowline.v1.method) = {
    resume: { request_field: "after" cursor_field: "revision" progress_field: "beat" limit_field: "most" }
    heartbeat: { field: "beat" }
  }; }
}`;
  proto2.write({ "proto/proto2.proto": text });
  const { response } = generate(requestFor(compile(proto2), ["proto2.proto"]));
  const reason = "moved is true by default: every Event that does not say otherwise would be";
  expect(response.error.split("\n")).toEqual([
    "2 problems",
    `proto2.proto:6:63: resume.progress_field: ${reason} a progress marker`,
    `proto2.proto:7:18: heartbeat.field: ${reason} a heartbeat`,
  ]);
});

test("buf shows each problem in a line of its own, ends with 1 and writes nothing", () => {
  const refused = new Workspace("refused");
  refused.write({
    "proto/bad.proto": `syntax = "proto3"; import "bowline/v1/options.proto";
service S {
  option (bowline.v1.service) = { timeout: { seconds: 0 } breaker: { failure_ratio: 2 } };
}`,
    "proto/newer.proto": 'edition = "2023";',
    "gen/old.ts": "what was there",
  });
  const { status, stderr } = bufGenerate(refused, [{ out: "gen" }]);
  expect(status).toBe(1);
  expect(stderr.split("\n")).toEqual(
    expect.arrayContaining([
      expect.stringMatching(/^Failure: plugin .*: 3 problems$/),
      "bad.proto:3:46: timeout: must be greater than zero; it is 0 ms",
      "bad.proto:3:70: breaker.failure_ratio: must be a ratio above 0 and at most 1; it is 2",
      expect.stringContaining("newer.proto:1:1: editions are not supported"),
    ]),
  );
  expect(readdirSync(refused.at("gen"))).toEqual(["old.ts"]);
});
