import { readdirSync } from "node:fs";
import { create } from "@bufbuild/protobuf";
import { FileDescriptorProtoSchema, FileDescriptorSetSchema } from "@bufbuild/protobuf/wkt";
import { describe, expect, test } from "vitest";
import { generate } from "../../src/codegen/generate.ts";
import { bufGenerate, compile, OPTIONS, requestFor, STATUS, Workspace } from "./workspace.ts";

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

/** A method whose calls are batched, beside the methods that take many, and others. */
function batched(policy: string, messages = "GetRequest) returns (Thing"): string {
  return `${service(
    `rpc Get(${messages}) {`,
    `option (bowline.v1.method) = { ${policy} };`,
    "}",
    "rpc GetMany(Many) returns (Things);",
    "rpc Watch(Many) returns (stream Things);",
  )}
message GetRequest { string id = 1; }
message Thing { string id = 1; google.rpc.Status problem = 2; }
message Many {
  repeated GetRequest requests = 1; repeated string ids = 2; GetRequest one = 3; repeated Thing things = 4;
  repeated E kinds = 5; map<string, GetRequest> by_id = 6;
}
message Things { repeated Thing things = 1; repeated Entry entries = 2; repeated string texts = 3; Thing one = 4; }
message Entry {
  Thing thing = 1; google.rpc.Status status = 2; M other = 3; repeated Thing many = 4;
  oneof either { Thing packed = 5; string wrong = 6; }
}`;
}

/** A method whose calls go into one that has these options. */
function batchedInto(options: string, idempotency = ""): string {
  return batched('batch: { ▸method: "GetMany" requests_field: "requests" responses_field: "things" }')
    .replace("rpc Get(GetRequest) returns (Thing) {", `rpc Get(GetRequest) returns (Thing) { ${idempotency}`)
    .replace("rpc GetMany(Many) returns (Things);", `rpc GetMany(Many) returns (Things) { ${options} }`);
}

const UNSAFE = "on a method that is not safe to repeat: set idempotency_level, or idempotency_key: {}";
const ONE_OF = "a cursor must be one int64, sint64, sfixed64, uint64, fixed64, string or bytes";
const FIELDS = "it has i, s, u, text, raw, maybe, small, many, by_name, one, sub, kind, ratio";
const MARKS = "it has i, moved, beat, all, one, small, wrapped, kind, by_name";
const LIMIT =
  "a limit must be one int32, sint32, sfixed32, uint32, fixed32, int64, sint64, sfixed64, uint64 or fixed64";
const COUNT = "must be a whole number of at least 1; it is";
const ATTEMPTS = "must be a whole number of at least 2, the first attempt included; it is";
const LISTED = "of which ts-proto makes something else in a list: wrap it in a message of your own";
const METHODS = "Get, GetMany, Watch";
const REQUESTS = "the list of requests must be repeated PACKAGE.GetRequest";
const READS = "only one request and its one response can stand for others";
const EFFECTS =
  "on a method that may have side effects, which calls would miss: set idempotency_level = NO_SIDE_EFFECTS if it has none";
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
    service(
      "rpc Put(stream M) returns (M) { option idempotency_level = IDEMPOTENT;",
      "option ▸(bowline.v1.method) = { retry: {} };",
      "}",
    ),
    "retry on a client-stream method: once a message was sent it cannot be sent again",
  ],
  "hedge on a bidi method": [
    service(
      "rpc Chat(stream M) returns (stream M) { option idempotency_level = IDEMPOTENT;",
      "option ▸(bowline.v1.method) = { hedge: {} };",
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
  "a key for a stream": [
    service("rpc Put(stream M) returns (M) {", "option ▸(bowline.v1.method) = { idempotency_key: {} };", "}"),
    "idempotency_key on a client-stream method: one answer to one request is kept, and a stream is neither",
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
    `resume.request_field: Positions.many is repeated int64: ${ONE_OF}`,
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
      'option (bowline.v1.method) = { resume: { ▸request_field: "i" cursor_field: "i" } };',
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
    "resume.progress_field: Marks.all is repeated bool: a progress marker must be one bool",
    `resume.limit_field: Positions.many is repeated int64: ${LIMIT}`,
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
  "a rate that allows nothing, of a service, and one that nobody says": [
    service(
      "option (bowline.v1.service) = { rate_limit: { ▸calls: 0 per: { ▸seconds: -1 } ▸burst: 0 } };",
      "rpc Get(M) returns (M);",
    ),
    "rate_limit.calls: must be greater than zero; it is 0",
    "rate_limit.per: must be greater than zero; it is -1000 ms",
    `rate_limit.burst: ${COUNT} 0`,
  ],
  "a rate of which neither method nor service says how many calls": [
    unary("option (bowline.v1.method) = { rate_limit: { ▸key: RATE_LIMIT_KEY_METHOD } };"),
    "rate_limit has no calls: say how many there may be",
  ],
  "shedding by two limits, and a wait that nobody comes to": [
    unary("option (bowline.v1.method) = { shed: { ▸max_concurrent: 1 adaptive: {} max_wait: { ▸nanos: 1 } } };"),
    "max_concurrent and adaptive exclude each other: a limit is either fixed or follows the latency",
    "shed.max_wait: has no effect, since none may wait: set max_queued, or leave it out",
  ],
  "a bulkhead that lets nobody in, and whose queue nobody waits in": [
    safe("bulkhead: { ▸max_concurrent: 0 max_wait: { ▸nanos: 1 } }"),
    `bulkhead.max_concurrent: ${COUNT} 0`,
    "bulkhead.max_wait: has no effect, since none may wait: set max_queued, or leave it out",
  ],
  "a wait in a queue that is longer than the call may take": [
    safe("timeout: { seconds: 1 } bulkhead: { max_queued: 1 max_wait: { ▸seconds: 2 } }"),
    "bulkhead.max_wait: must not be greater than the timeout, 1000 ms; it is 2000 ms",
  ],
  "a delay of hedges that is longer than the call may take": [
    safe("timeout: { seconds: 1 } hedge: { delay: { ▸seconds: 2 } }"),
    "hedge.delay: must not be greater than the timeout, 1000 ms; it is 2000 ms",
  ],
  "hedges on a server-stream": [
    resume("hedge: { ▸max_attempts: 2 }"),
    "hedge on a server-stream method: the first OK wins (gRFC A6), and a stream has it at its end; use retry",
  ],
  "what a service cannot be isolated with": [
    service(`option (bowline.v1.service) = {
      bulkhead: { ▸max_concurrent: 0 max_wait: { ▸seconds: 1 } }
      adaptive_limit: { ▸initial_limit: 9 ▸min_limit: 10 max_limit: 8 ▸tolerance: 0.5 ▸smoothing: 1.5 }
      throttle: { ▸k: 0.5 window: { ▸seconds: -1 } }
    };`),
    `bulkhead.max_concurrent: ${COUNT} 0`,
    "bulkhead.max_wait: has no effect, since none may wait: set max_queued, or leave it out",
    "adaptive_limit.initial_limit: must not be greater than the greatest limit, 8; it is 9",
    "adaptive_limit.min_limit: must not be greater than the initial limit, 9; it is 10",
    "adaptive_limit.tolerance: must be at least 1, as long as usual; it is 0.5",
    "adaptive_limit.smoothing: must be a ratio above 0 and at most 1; it is 1.5",
    "throttle.k: must be at least 1, or what is accepted would be rejected too; it is 0.5",
    "throttle.window: must be greater than zero; it is -1000 ms",
  ],
  "a factor that is no number": [
    service("option (bowline.v1.service).throttle = { ▸k: inf };"),
    "throttle.k: must be a finite number; it is Infinity",
  ],
  "a breaker and a bulkhead that do not go together with the service's": [
    service(
      "option (bowline.v1.service) = { breaker: { window_calls: 10 } bulkhead: { max_queued: 10 max_wait: { seconds: 1 } } };",
      "rpc Get(M) returns (M) { option (bowline.v1.method) = { breaker: { ▸minimum_calls: 50 } }; }",
      "rpc Cut(M) returns (M) { option (bowline.v1.method) = { bulkhead: { max_queued: 0 max_wait: { ▸seconds: 2 } } }; }",
      "rpc Ban(M) returns (M) { option (bowline.v1.method) = { bulkhead: { max_queued: 0 } }; }",
    ),
    "breaker.minimum_calls: must not be greater than the calls of the window, 10: it would never open; it is 50",
    "bulkhead.max_wait: has no effect, since none may wait: set max_queued, or leave it out",
  ],
  "what answers cannot be kept with": [
    safe(`cache: {
      ttl: { ▸▸nanos: 0 }
      stale_while_revalidate: { ▸nanos: -1 }
      stale_if_error: { ▸nanos: -1 }
      ▸max_entries: 0
      ▸max_bytes: 0
    }`),
    "cache.ttl: must be greater than zero; it is 0 ms",
    `cache ${EFFECTS}`,
    "cache.stale_while_revalidate: must not be negative; it is -0.000001 ms",
    "cache.stale_if_error: must not be negative; it is -0.000001 ms",
    `cache.max_entries: ${COUNT} 0`,
    `cache.max_bytes: ${COUNT} 0`,
  ],
  "a cache without a ttl": [
    unary("option idempotency_level = NO_SIDE_EFFECTS;", "option ▸(bowline.v1.method).cache = {};"),
    "cache has no ttl: say for how long an answer is fresh",
  ],
  "a cache and coalescing on a stream": [
    resume("coalesce: {}\n cache: { ttl: { ▸seconds: 1 } }").replace("option (bow", "option ▸(bow"),
    `coalesce on a server-stream method: ${READS}`,
    `cache on a server-stream method: ${READS}`,
  ],
  "coalescing on a method with a key": [
    safe("coalesce: {}\n idempotency_key: {}").replace("option (bow", "option ▸▸(bow"),
    `coalesce ${EFFECTS}`,
    "coalesce and idempotency_key exclude each other: calls that share an attempt cannot each send a key of their own",
  ],
  "a batch without names": [
    batched("batch: { ▸▸max_size: 1 max_wait: { ▸nanos: -1 } }"),
    "batch.max_size: must be a whole number of at least 2; it is 1",
    `batch.method is missing: name the method that takes many; there are ${METHODS}`,
    "batch.max_wait: must not be negative; it is -0.000001 ms",
  ],
  "a batch into a method that is not there": [
    batched('batch: { ▸method: "getMany" }'),
    `batch.method: the service has no method getMany; it has ${METHODS}`,
  ],
  "a batch into the method itself": [
    batched('batch: { ▸method: "Get" }'),
    "batch.method: Get is the method itself: name the one that takes many",
  ],
  "a batch into a stream": [
    batched('batch: { ▸method: "Watch" requests_field: "requests" responses_field: "things" }'),
    "batch.method: Watch is a server-stream method: a batch has one request and one response",
  ],
  "a batch into a method that is batched, and the other way round": [
    batchedInto(`option (bowline.v1.method) = { batch: { ▸method: "Get"
      ▸requests_field: "id" ▸responses_field: "problem" } };`),
    "batch.method: GetMany is batched itself: name the method that its calls become parts of",
    "batch.method: Get is batched itself: name the method that its calls become parts of",
    "batch.requests_field: GetRequest.id is string: the list of requests must be repeated PACKAGE.Many",
    "batch.responses_field: Thing.problem is the message google.rpc.Status: the list of entries must be repeated messages",
  ],
  "a batch that is retried, of calls that are not safe to repeat": [
    batchedInto("option idempotency_level = IDEMPOTENT; option (bowline.v1.method).retry = {};"),
    "batch.method: GetMany has retry, which would repeat calls of this method, and those are not safe to repeat: set idempotency_level here too, or idempotency_key: {} there",
  ],
  "a batch without fields": [
    batched('batch: { ▸▸method: "GetMany" }'),
    "batch.requests_field is missing: name the field of Many that takes the requests; it has requests, ids, one, things, kinds, by_id",
    "batch.responses_field is missing: name the field of Things that holds an entry for each request; it has things, entries, texts, one",
  ],
  "a batch with fields that do not exist": [
    batched(`batch: { method: "GetMany" ▸requests_field: "all" responses_field: "entries"
      ▸response_field: "answer" ▸status_field: "error" }`),
    "batch.requests_field: Many has no field all; it has requests, ids, one, things, kinds, by_id",
    "batch.response_field: Entry has no field answer; it has thing, status, other, many, packed, wrong",
    "batch.status_field: Entry has no field error; it has thing, status, other, many, packed, wrong",
  ],
  "a batch of texts": [
    batched('batch: { method: "GetMany" ▸requests_field: "ids" ▸responses_field: "texts" }'),
    `batch.requests_field: Many.ids is repeated string: ${REQUESTS}`,
    "batch.responses_field: Things.texts is repeated string: the list of entries must be repeated messages",
  ],
  "a batch of one": [
    batched('batch: { method: "GetMany" ▸requests_field: "one" ▸responses_field: "one" }'),
    `batch.requests_field: Many.one is the message PACKAGE.GetRequest: ${REQUESTS}`,
    "batch.responses_field: Things.one is the message PACKAGE.Thing: the list of entries must be repeated messages",
  ],
  "a batch of other messages, whose entries do not say where the response is": [
    batched('batch: { method: "GetMany" ▸requests_field: "things" ▸responses_field: "entries" }'),
    `batch.requests_field: Many.things is repeated PACKAGE.Thing: ${REQUESTS}`,
    "batch.responses_field: Things.entries is repeated PACKAGE.Entry, and no response of this method: name the field of Entry that holds the Thing, as batch.response_field",
  ],
  "a batch of enums": [
    batched('batch: { method: "GetMany" ▸requests_field: "kinds" responses_field: "things" }'),
    `batch.requests_field: Many.kinds is repeated PACKAGE.E: ${REQUESTS}`,
  ],
  "a batch whose entries hold something else": [
    batched(`batch: { method: "GetMany" ▸requests_field: "by_id" responses_field: "entries"
      ▸response_field: "other" ▸status_field: "wrong" }`),
    `batch.requests_field: Many.by_id is a map: ${REQUESTS}`,
    "batch.response_field: Entry.other is the message PACKAGE.M: the response must be one PACKAGE.Thing",
    "batch.status_field: Entry.wrong is string: a status must be one google.rpc.Status",
  ],
  "a batch whose entries hold many": [
    batched(
      'batch: { method: "GetMany" requests_field: "requests" responses_field: "entries" ▸response_field: "many" }',
    ),
    "batch.response_field: Entry.many is repeated PACKAGE.Thing: the response must be one PACKAGE.Thing",
  ],
  "a batch of what ts-proto makes something else of": [
    batched(
      'batch: { ▸▸method: "GetMany" ▸requests_field: "requests" ▸responses_field: "things" }',
      "google.protobuf.StringValue) returns (google.protobuf.Int64Value",
    ),
    `batch on a method of google.protobuf.StringValue, ${LISTED}`,
    `batch on a method of google.protobuf.Int64Value, ${LISTED}`,
    "batch.requests_field: Many.requests is repeated PACKAGE.GetRequest: the list of requests must be repeated google.protobuf.StringValue",
    "batch.responses_field: Things.things is repeated PACKAGE.Thing, and no response of this method: name the field of Thing that holds the Int64Value, as batch.response_field",
  ],
  "what is said of the attempts of a method that is batched": [
    batched(`batch: { method: "GetMany" requests_field: "requests" responses_field: "things" }
      retry: { ▸max_attempts: 2 } breaker: { ▸trials: 2 } bulkhead: { ▸max_queued: 1 } idempotency_key: { ttl: { ▸seconds: 1 } }`),
    "retry and batch exclude each other: a call in a batch makes no attempt of its own; say it of GetMany",
    "breaker and batch exclude each other: a call in a batch makes no attempt of its own; say it of GetMany",
    "bulkhead and batch exclude each other: a call in a batch makes no attempt of its own; say it of GetMany",
    "idempotency_key and batch exclude each other: calls in one batch cannot each send a key; say it of GetMany",
  ],
  "a batch on a client-stream": [
    batched('batch: { ▸method: "GetMany" requests_field: "requests" responses_field: "things" }').replace(
      "rpc Get(",
      "rpc Get(stream ",
    ),
    "batch on a client-stream method: only single requests can be gathered into one",
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
  const marked = `syntax = "proto3"; package ${name}; import "bowline/v1/options.proto"; import "google/protobuf/wrappers.proto"; import "google/rpc/status.proto";\n${text}\n`;
  const places = marked.split(MARK).slice(0, -1);
  let before = "";
  const expected = places.map((part, index) => {
    before += part;
    const column = before.length - before.lastIndexOf("\n");
    return `${name}.proto:${before.split("\n").length}:${column}: ${problems[index]?.replaceAll("PACKAGE", name)}`;
  });
  return { title, file: `${name}.proto`, text: marked.replaceAll(MARK, ""), expected };
}

const cases = Object.entries(rows).map(toCase);
const workspace = new Workspace("errors");
workspace.write(Object.fromEntries(cases.map(({ file, text }) => [`proto/${file}`, text])));
workspace.write({ "proto/google/rpc/status.proto": STATUS });
const set = compile(workspace);

describe("a bad contract is refused", () => {
  test.each(cases)("$title", ({ file, expected }) => {
    const response = generate(requestFor(set, [file]));
    expect(response.error.split("\n").slice(1)).toEqual(expected);
    expect(response.file).toEqual([]);
  });
});

test("all files are told about at once, in order", () => {
  const files = cases.map(({ file }) => file);
  const response = generate(requestFor(set, files.toReversed()));
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
  const response = generate(requestFor(compile(editions, []), ["a.proto"]));
  const refused =
    'editions are not supported: ts-proto ignores their features and would write other bytes; say syntax = "proto3"';
  expect(response.error).toBe(["2 problems", `b.proto:3:1: ${refused}`, `c.proto:1:3: ${refused}`].join("\n"));
});

test("editions that cannot even be read are refused, and the rest is looked into", () => {
  const future = create(FileDescriptorProtoSchema, { name: "future.proto", syntax: "editions", edition: 1002 });
  const file = [...set.file, future];
  const names = ["a_zero_timeout.proto", "future.proto"];
  const response = generate(requestFor(create(FileDescriptorSetSchema, { file }), names));
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
  const response = generate(requestFor(set, ["jstype.proto"], [...OPTIONS, "useJsTypeOverride=true"]));
  expect(response.error).toBe(
    "1 problem\njstype.proto:6:46: request_field and cursor_field must be of one type; Request.after is int64 with jstype JS_STRING, Event.revision is int64",
  );
  expect(generate(requestFor(set, ["jstype.proto"])).error).toBe("");
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
  const response = generate(requestFor(compile(proto2), ["proto2.proto"]));
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
