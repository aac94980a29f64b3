import { type CallOptions, type ClientOptions, type Contract, closeClient, createClient } from "bowline";
import {
  createServer,
  type MessageCheck,
  type ServerOptions,
  serverMiddleware,
  type Validation,
  validate,
} from "bowline/server";
import { protovalidate } from "bowline/validate";
import { createServer as createNiceServer } from "nice-grpc";
import { onTestFinished } from "vitest";
import { validatedContracts } from "./validated.ts";

const RULES = `syntax = "proto2"; package checks.v1;
import "buf/validate/validate.proto";
extend buf.validate.StringRules {
  optional bool is_slug = 80000001 [(buf.validate.predefined).cel = {
    id: "string.slug" expression: "!rule || this.matches('^[a-z-]*$') ? '' : 'must be lower case and dashes'"
  }];
}
message Within { extend buf.validate.StringRules { optional bool is_nothing = 80000002; } }`;

const CHECKS = `syntax = "proto3"; package checks.v1;
import "buf/validate/validate.proto";
import "checks/v1/rules.proto";
import "google/protobuf/duration.proto";
import "google/protobuf/timestamp.proto";

service CheckService {
  rpc Put(PutRequest) returns (Done);
  rpc List(PutRequest) returns (stream Done);
  rpc Upload(stream PutRequest) returns (Done);
  rpc Chat(stream PutRequest) returns (stream Done);
  rpc Free(Done) returns (Done);
  rpc Wrapped(WrappedRequest) returns (Done);
}
message Done { uint32 count = 1; }
message WrappedRequest { repeated PutRequest puts = 1; }
message PutRequest {
  string name = 1 [(buf.validate.field).string = {min_len: 2 max_len: 10}];
  repeated Item items = 2 [(buf.validate.field).repeated.max_items = 3];
  repeated string tags = 3 [(buf.validate.field).repeated = {unique: true items: {string: {min_len: 1}}}];
  map<string, int32> counts = 4 [(buf.validate.field).map = {keys: {string: {max_len: 3}} values: {int32: {gt: 0}}}];
  oneof target {
    option (buf.validate.oneof).required = true;
    string user = 5 [(buf.validate.field).string.min_len = 1];
    Item item = 6;
  }
  string email = 7 [(buf.validate.field).string.email = true, (buf.validate.field).ignore = IGNORE_IF_ZERO_VALUE];
  string slug = 8 [(buf.validate.field).string.(is_slug) = true];
  google.protobuf.Timestamp since = 9 [(buf.validate.field).timestamp.lt_now = true];
  google.protobuf.Duration wait = 10 [(buf.validate.field).duration = {lte: {seconds: 5}}];
  Level level = 11 [(buf.validate.field).enum.defined_only = true];
  string unchecked = 12 [(buf.validate.field).string.min_len = 5, (buf.validate.field).ignore = IGNORE_ALWAYS];
  Range range = 13;
  optional uint32 page = 14 [(buf.validate.field).uint32.gte = 1];
  int64 divisor = 15 [(buf.validate.field).cel = {id: "divisor" expression: "this != 7 || [1][this] == 1"}];
}
message Item { uint32 quantity = 1 [(buf.validate.field).uint32 = {gte: 1 lte: 100}]; Item child = 2; }
message Range {
  option (buf.validate.message).cel = {id: "range.order" message: "first must not be after last" expression: "this.first <= this.last"};
  int32 first = 1;
  int32 last = 2;
}
enum Level { LEVEL_UNSPECIFIED = 0; LEVEL_HIGH = 1; }
`;

const BROKEN = `syntax = "proto3"; package broken.v1;
import "buf/validate/validate.proto";
service BrokenService { rpc Do(DoRequest) returns (Done); rpc Other(OtherRequest) returns (Done); }
message Done {}
message DoRequest { map<string, Inner> inner = 1; OtherRequest other = 2; }
message Inner {
  oneof one {
    string a = 1 [(buf.validate.field).cel = {id: "open" expression: "this.size( > 1"}];
    string b = 2 [(buf.validate.field).cel_expression = "nobody == 1"];
  }
  repeated string c = 3 [(buf.validate.field).repeated.items.cel = {id: "call" expression: "this.unheardOf()"}];
  repeated DoRequest within = 4;
}
message OtherRequest { string name = 1 [(buf.validate.field).uint32.gt = 1]; }
`;

const ODD = `syntax = "proto3"; package odd.v1;
import "buf/validate/validate.proto";
import "google/protobuf/any.proto";
import "google/protobuf/wrappers.proto";
service OddService { rpc Do(DoRequest) returns (Done); }
service EvenService { rpc Do(EvenRequest) returns (Done); }
message Done {}
message DoRequest {
  int64 a = 1 [(buf.validate.field).string.min_len = 1];
  int64 b = 2 [(buf.validate.field).bool.const = true];
  string c = 3 [(buf.validate.field).string.pattern = "("];
  optional string d = 4 [
    (buf.validate.field).cel = {id: "sum" expression: "this + 1 == 2"},
    (buf.validate.field).cel_expression = "this.nofield == 1"
  ];
  string e = 5 [(buf.validate.field).cel_expression = "this.matches('(')"];
  string f = 6 [(buf.validate.field).cel = {id: "branch" expression: "this.size() > 9 ? 1 : ''"}];
  repeated Inner g = 7 [(buf.validate.field).repeated.min_items = 0];
  map<string, string> h = 8 [(buf.validate.field).map.keys.string.pattern = "["];
  Leaf i = 9;
}
message Leaf {
  option (buf.validate.message).cel = {id: "gone" expression: "this.v == 1"};
  option (buf.validate.message).cel = {id: "both" expression: "this.a + this.b == 2"};
  string a = 1;
  int32 b = 2;
}
message Inner { optional bytes a = 1 [(buf.validate.field).bytes.pattern = ")"]; DoRequest within = 2; }
message EvenRequest {
  option (buf.validate.message).cel = {id: "key" expression: "this.labels.env == 'x'"};
  int64 a = 1 [(buf.validate.field).cel = {id: "quotient" expression: "10 / this > 0"}];
  string b = 2 [(buf.validate.field).cel = {id: "number" expression: "int(this) > 0"}];
  repeated int64 c = 3 [(buf.validate.field).cel = {id: "third" expression: "this[2] > 0"}];
  map<string, string> labels = 4;
  google.protobuf.Any d = 5 [(buf.validate.field).cel = {id: "any" expression: "this.v == 1"}];
  google.protobuf.StringValue e = 6 [(buf.validate.field).string.min_len = 1];
  string f = 7 [(buf.validate.field).cel = {id: "long" expression: "this == '' || timestamp(this) < now"}];
  message Within { EvenRequest even = 1 [(buf.validate.field).required = true]; }
  repeated Within g = 8;
}
`;

const contractOf = await validatedContracts("checks", {
  "checks/v1/checks.proto": CHECKS,
  "checks/v1/rules.proto": RULES,
  "broken/v1/broken.proto": BROKEN,
  "odd/v1/odd.proto": ODD,
});

/** A contract with constraints of every kind. */
export const CheckService = contractOf("CheckService");

/** A contract with constraints that make no sense. */
export const BrokenService = contractOf("BrokenService");

/** A contract with constraints that compile, and none of which can ever be evaluated. */
export const OddService = contractOf("OddService");

/** A contract with constraints that some messages cannot be checked by, and others can. */
export const EvenService = contractOf("EvenService");

const real = protovalidate();
const checks = new Map<string, MessageCheck>();

/** protovalidate, whose rules of the one contract are compiled once for all servers of a test. */
export const validation: Validation = {
  files: real.files,
  compile: (registry) => (type) => {
    const check = checks.get(type.typeName) ?? real.compile(registry)(type);
    checks.set(type.typeName, check);
    return check;
  },
};

/** A request with nothing wrong. */
export const RIGHT = { name: "ok", target: { $case: "user", value: "u-1" } };

type Handler = (request: never, context: never) => unknown;

/** Handlers that count what reaches them. */
export function counting(given: Readonly<Record<string, Handler>> = {}) {
  const seen: unknown[] = [];
  const one = async (request: unknown) => ({ count: seen.push(request) });
  const handlers = {
    ...{ put: one, free: one, wrapped: one },
    async *list(request: unknown) {
      yield { count: seen.push(request) };
    },
    async upload(requests: AsyncIterable<unknown>) {
      for await (const request of requests) seen.push(request);
      return { count: seen.length };
    },
    async *chat(requests: AsyncIterable<unknown>) {
      for await (const request of requests) yield { count: seen.push(request) };
    },
    ...given,
  };
  return { seen, handlers };
}

/** Three ways to serve the contract with its constraints, until the test is over. */
export const servings: readonly [string, (handlers: object, options?: ServerOptions) => Promise<number>][] = [
  ["our server", serveChecks],
  [
    "nice-grpc's server with our pipeline",
    (handlers, options) => onNice(handlers, serverMiddleware(CheckService, { validation, ...options })),
  ],
  ["nice-grpc's server with validate() alone", (handlers) => onNice(handlers, validate(CheckService, validation))],
];

async function onNice(handlers: object, middleware: ReturnType<typeof validate>): Promise<number> {
  const server = createNiceServer().use(middleware);
  server.add(CheckService.definition as never, handlers as never);
  const port = await server.listen("127.0.0.1:0");
  onTestFinished(() => server.forceShutdown());
  return port;
}

/** Serves the contract with our server. */
export async function serveChecks(handlers: object, options: ServerOptions = {}): Promise<number> {
  const server = createServer({ drainOn: [], validation, ...options });
  server.add(CheckService as Contract<never, unknown, object>, handlers);
  const port = await server.listen("127.0.0.1:0");
  onTestFinished(async () => void (await server.drain({ timeoutMs: 1 })));
  return port;
}

type Unary = (request: object) => Promise<{ count: number }>;
type Uploading = (requests: AsyncIterable<object>, options?: CallOptions) => Promise<{ count: number }>;
type Chatting = (requests: AsyncIterable<object>) => AsyncIterable<{ count: number }>;

/** The contract's client. */
export interface CheckClient {
  readonly put: Unary;
  readonly free: Unary;
  readonly wrapped: Unary;
  readonly list: (request: object) => AsyncIterable<{ count: number }>;
  readonly upload: Uploading;
  readonly chat: Chatting;
}

/** A client until the test is over. */
export function connectChecks(port: number, options: ClientOptions = {}): CheckClient {
  const client = createClient(CheckService as Contract<never, CheckClient>, `127.0.0.1:${port}`, options);
  onTestFinished(() => closeClient(client));
  return client;
}
