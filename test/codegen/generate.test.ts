import { readFileSync } from "node:fs";
import { create, createFileRegistry, fromBinary, hasOption, toBinary } from "@bufbuild/protobuf";
import { CodeGeneratorResponseSchema, type FileDescriptorSet, FileDescriptorSetSchema } from "@bufbuild/protobuf/wkt";
import { expect, test } from "vitest";
import { generate } from "../../src/codegen/generate.ts";
import type { Contract } from "../../src/contract/contract.ts";
import type { MethodPolicy, ServicePolicy } from "../../src/contract/policy.ts";
import { mustRun } from "../support/run.ts";
import { bufGenerate, compile, OPTIONS, requestFor, STATUS, Workspace } from "./workspace.ts";

/** Every policy with every setting, in all the ways to write one. */
const everything = `syntax = "proto3";
package every.thing.v1;
import "bowline/v1/options.proto";
import "other/other.proto";

// Not about it.

/*
 * A service that says all there is to say.
 *
 *   With an example.
 */
service Everything {
  option deprecated = true;
  option (bowline.v1.service) = {
    timeout: { seconds: 2 nanos: 500000 }
    breaker: { failure_ratio: 0.25 slow_ratio: 1 slow { nanos: 1 } window { seconds: 60 } minimum_calls: 10000
               open { seconds: 1 } max_open { seconds: 3600 } trials: 1 window_calls: 20000 trial_timeout { seconds: 2 }
               scope: BREAKER_SCOPE_SERVICE codes: ["14", "unknown"] disabled: true }
    retry_throttling: { max_tokens: 100 token_ratio: 0.5 } retry_budget: { ratio: 0.2 window { seconds: 5 } min_in_flight: 1 }
    bulkhead: { max_concurrent: 1 max_queued: 2 max_wait { nanos: 500000 } } throttle: { k: 1.5 window { seconds: 60 } }
    adaptive_limit: { initial_limit: 2 min_limit: 1 max_limit: 4294967295 tolerance: 2.5 smoothing: 1 }
  };
  // Gets one. It ends with */, as comments do.
  rpc Get(other.Request) returns (other.Response) {
    option idempotency_level = NO_SIDE_EFFECTS;
    option (bowline.v1.method) = {
      timeout: { nanos: 1 }
      retry: {
        max_attempts: 4294967295
        initial_backoff: { nanos: 1000000 }
        max_backoff: { seconds: 1 }
        multiplier: 1.5
        jitter: JITTER_DECORRELATED
        codes: ["unavailable", "13", "Deadline_Exceeded"]
        attempt_timeout: { nanos: 1 }
      }
    };
  }
  rpc Hedged(other.Request) returns (other.Response) { // Beside it.
    option (bowline.v1.method).hedge = { max_attempts: 2 delay {} non_fatal_codes: "14" };
    option (bowline.v1.method).idempotency_key.ttl.seconds = 86400;
    option deprecated = true;
  }
  rpc Watch(other.Request) returns (stream other.Response) {
    option idempotency_level = IDEMPOTENT;
    option (bowline.v1.method) = { breaker: { trials: 2 } resume: { request_field: "after" cursor_field: "position" } };
  }
  rpc Live(other.Request) returns (stream other.Response) {
    option idempotency_level = NO_SIDE_EFFECTS;
    option (bowline.v1.method) = {
      resume: {
        request_field: "after" cursor_field: "position" progress_field: "is_bookmark" limit_field: "at_most"
        from_start: true codes: ["14", "aborted"] max_failures: 4294967295
        initial_backoff { nanos: 1000000 } max_backoff { seconds: 5 } multiplier: 1.25 jitter: JITTER_A6
      }
      heartbeat: { field: "is_bookmark" interval { nanos: 10000000 } missed: 1 }
    };
  }
  rpc Chat(stream other.Request) returns (stream other.Response) {
    option (bowline.v1.method).heartbeat.field = "is_bookmark";
  }
  rpc Plain(other.Request) returns (other.Response) {
    option (bowline.v1.method) = { retry: {} idempotency_key: {} };
  }
  rpc One(other.Request) returns (other.Response) {
    option idempotency_level = NO_SIDE_EFFECTS;
    option (bowline.v1.method) = {
      bulkhead: {} coalesce: {}
      cache: {
        ttl { seconds: 60 } stale_while_revalidate {} stale_if_error { seconds: 3600 }
        max_entries: 10 max_bytes: 9007199254740991
      }
    };
  }
  rpc Part(other.Request) returns (other.Response) {
    option (bowline.v1.method).batch = {
      method: "Many" requests_field: "all_requests" responses_field: "entries" response_field: "response"
      status_field: "status" max_size: 2 max_wait {}
    };
  }
  rpc Bare(other.Request) returns (other.Response) {
    option (bowline.v1.method).batch = { method: "Many" requests_field: "all_requests" responses_field: "bare" };
  }
  rpc Many(other.Requests) returns (other.Responses);
  rpc Silent(stream other.Request) returns (stream other.Response);
  rpc WatchAtLength(other.RequestOfANameThatFillsItsLine) returns (stream other.ResponseOfANameThatFillsItsLine) {
    option idempotency_level = IDEMPOTENT;
    option (bowline.v1.method).resume = { request_field: "after_position" cursor_field: "position_reached" };
  }
}

service Empty {}
`;

const other = `syntax = "proto3";
package other;
import "google/protobuf/timestamp.proto";
import "google/rpc/status.proto";
import public "unused.proto";
message Request { string after = 1; google.protobuf.Timestamp time = 2; uint32 at_most = 3; }
message Response { string position = 1; bool is_bookmark = 2; }
message RequestOfANameThatFillsItsLine { string after_position = 1; }
message ResponseOfANameThatFillsItsLine { string position_reached = 1; }
message Requests { repeated Request all_requests = 1; }
message Responses { repeated Entry entries = 1; repeated Response bare = 2; }
message Entry { oneof result { Response response = 1; google.rpc.Status status = 2; } }
`;

const workspace = new Workspace("generate");
workspace.write({
  "proto/every/thing/v1/everything.proto": everything,
  "proto/other/other.proto": other,
  "proto/google/rpc/status.proto": STATUS,
  "proto/unused.proto": 'syntax = "proto2"; message Unused { optional group Old = 1 {} }',
});
const set = compile(workspace);
const FILE = "every/thing/v1/everything.proto";
const generated = bufGenerate(workspace, [{ out: "gen" }]);

async function load(): Promise<{ Everything: Contract; Empty: Contract; source: string }> {
  const file = workspace.at("gen/every/thing/v1/everything.contract.ts");
  return { ...(await import(file)), source: readFileSync(file, "utf8") };
}

test("buf runs it", () => {
  expect(generated).toMatchObject({ status: 0, stdout: "" });
});

test("policies arrive as the records of src/contract", async () => {
  const { Everything, Empty } = await load();
  expect(Everything.name).toBe("every.thing.v1.Everything");
  const service: ServicePolicy = {
    timeoutMs: 2000.5,
    breaker: {
      failureRatio: 0.25,
      slowRatio: 1,
      slowMs: 0.000001,
      windowMs: 60_000,
      minimumCalls: 10_000,
      openMs: 1_000,
      maxOpenMs: 3_600_000,
      trials: 1,
      windowCalls: 20_000,
      trialTimeoutMs: 2_000,
      scope: "service",
      codes: ["UNAVAILABLE", "UNKNOWN"],
      disabled: true,
    },
    retryThrottling: { maxTokens: 100, tokenRatio: 0.5 },
    retryBudget: { ratio: 0.2, windowMs: 5_000, minInFlight: 1 },
    bulkhead: { maxConcurrent: 1, maxQueued: 2, maxWaitMs: 0.5 },
    adaptiveLimit: { initialLimit: 2, minLimit: 1, maxLimit: 4_294_967_295, tolerance: 2.5, smoothing: 1 },
    throttle: { k: 1.5, windowMs: 60_000 },
  };
  expect(Everything.service).toStrictEqual(service);
  const methods: Record<string, MethodPolicy> = {
    get: {
      timeoutMs: 0.000001,
      retry: {
        maxAttempts: 4_294_967_295,
        initialBackoffMs: 1,
        maxBackoffMs: 1_000,
        multiplier: 1.5,
        jitter: "decorrelated",
        codes: ["UNAVAILABLE", "INTERNAL", "DEADLINE_EXCEEDED"],
        attemptTimeoutMs: 0.000001,
      },
    },
    hedged: {
      hedge: { maxAttempts: 2, delayMs: 0, nonFatalCodes: ["UNAVAILABLE"] },
      idempotencyKey: { ttlMs: 86_400_000 },
    },
    watch: { breaker: { trials: 2 }, resume: { requestField: "after", cursorField: "position" } },
    live: {
      resume: {
        requestField: "after",
        cursorField: "position",
        progressField: "is_bookmark",
        limitField: "at_most",
        fromStart: true,
        codes: ["UNAVAILABLE", "ABORTED"],
        maxFailures: 4_294_967_295,
        initialBackoffMs: 1,
        maxBackoffMs: 5_000,
        multiplier: 1.25,
        jitter: "a6",
      },
      heartbeat: { field: "is_bookmark", intervalMs: 10, missed: 1 },
    },
    chat: { heartbeat: { field: "is_bookmark" } },
    plain: { retry: {}, idempotencyKey: {} },
    one: {
      bulkhead: {},
      coalesce: {},
      cache: {
        ttlMs: 60_000,
        staleWhileRevalidateMs: 0,
        staleIfErrorMs: 3_600_000,
        maxEntries: 10,
        maxBytes: 9_007_199_254_740_991,
      },
    },
    part: {
      batch: {
        ...{ method: "Many", requestsField: "all_requests", responsesField: "entries" },
        ...{ responseField: "response", statusField: "status", maxSize: 2, maxWaitMs: 0 },
      },
    },
    bare: { batch: { method: "Many", requestsField: "all_requests", responsesField: "bare" } },
    watchAtLength: { resume: { requestField: "after_position", cursorField: "position_reached" } },
  };
  expect({ ...Everything.methods }).toStrictEqual(methods);
  expect(Empty).toMatchObject({ name: "every.thing.v1.Empty", service: {}, methods: {}, cursors: {}, heartbeats: {} });
});

test("batches name the method and the fields by ts-proto's keys, and where oneofs are packed", async () => {
  const { Everything, Empty } = await load();
  expect({ ...Everything.batches }).toStrictEqual({
    part: {
      method: "many",
      requestsField: "allRequests",
      responsesField: "entries",
      responseField: "response",
      responseOneof: "result",
      statusField: "status",
      statusOneof: "result",
    },
    bare: { method: "many", requestsField: "allRequests", responsesField: "bare" },
  });
  expect(Empty.batches).toEqual({});
});

test("cursors are read and written", async () => {
  const watch = (await load()).Everything.cursors.watch;
  expect(watch).toMatchObject({ type: "string", requestField: "after", cursorField: "position" });
  expect(watch?.read({ position: "p" })).toBe("p");
  const request = Object.freeze({ after: "", time: undefined });
  expect(watch?.write(request, "p")).toEqual({ after: "p", time: undefined });
});

test("marks and limits are named by ts-proto's keys", async () => {
  const { Everything, source } = await load();
  const { live, watch } = Everything.cursors;
  expect(live).toMatchObject({ cursorField: "position", progressField: "isBookmark", limitField: "atMost" });
  expect(Object.keys(watch ?? {})).toEqual(["type", "requestField", "cursorField", "read", "write"]);
  expect({ ...Everything.heartbeats }).toEqual({ live: { field: "isBookmark" }, chat: { field: "isBookmark" } });
  expect(source).toContain('\n  heartbeats: { live: { field: "isBookmark" }, chat: { field: "isBookmark" } },\n');
  // What has none stays as older versions printed it.
  expect(source.match(/\bheartbeats:/g)).toHaveLength(1);
});

test("calls that resume say of which types positions are, and requests that continue after one", async () => {
  const { source } = await load();
  const stream = 'ResponseStream<Response, Response["position"]>';
  expect(source).toContain(`
  watch(
    request: DeepPartial<Request>,
    options?: CallOptions<DeepPartial<Request>, Response["position"], "after">,
  ): ${stream};
`);
  expect(source).toContain(`
    options?: CallOptions<
      DeepPartial<RequestOfANameThatFillsItsLine>,
      ResponseOfANameThatFillsItsLine["positionReached"],
      "afterPosition"
    >,
`);
  // What does not resume stays as older versions printed it.
  expect(source).toContain("  get(request: DeepPartial<Request>, options?: CallOptions): Promise<Response>;\n");
  expect(source.match(/\bCallOptions</g)).toHaveLength(3);
});

test("comments become doc comments", async () => {
  const { source } = await load();
  expect(source).toContain(`
/**
 * A service that says all there is to say.
 *
 *   With an example.
 * @deprecated
 */
export const Everything: Contract<`);
  expect(source).toContain("  /** Gets one. It ends with * /, as comments do. */\n  get(");
  expect(source).toContain("  /**\n   * Beside it.\n   * @deprecated\n   */\n  hedged(");
  expect(source).toContain("\n/** The contract of `every.thing.v1.Empty`. */\nexport const Empty: Contract<");
  expect(source).not.toContain("Not about it");
  const silent = generate(requestFor(set, [FILE], [...OPTIONS, "comments=false"])).file[0]?.content;
  expect(silent).not.toContain("Gets one");
  expect(silent).toContain("@deprecated");
});

test("the descriptors are the file and what it imports, without what every server has", async () => {
  const { Everything } = await load();
  const carried = fromBinary(FileDescriptorSetSchema, Buffer.from(Everything.descriptors(), "base64"));
  expect(carried.file.map(({ name }) => name)).toEqual([
    "google/rpc/status.proto",
    "unused.proto",
    "other/other.proto",
    FILE,
  ]);
  expect(carried.file.filter(({ sourceCodeInfo }) => sourceCodeInfo)).toEqual([]);
  const everywhere = set.file.filter(({ name }) => /^(google\/protobuf|bowline\/v1)\//.test(name));
  const registry = createFileRegistry(create(FileDescriptorSetSchema, { file: [...everywhere, ...carried.file] }));
  const method = registry.getService("every.thing.v1.Everything")?.methods[0];
  const option = registry.getExtension("bowline.v1.method");
  expect(method && option && hasOption(method, option)).toBe(true);
});

test("the same contracts give the same bytes, whatever the order of the files", () => {
  const bytes = (files: FileDescriptorSet, names: string[]) =>
    Buffer.from(toBinary(CodeGeneratorResponseSchema, generate(requestFor(files, names)))).toString("hex");
  const names = set.file.map(({ name }) => name);
  const first = bytes(set, names);
  expect(bytes(set, names)).toBe(first);
  const reversed = create(FileDescriptorSetSchema, { file: set.file.toReversed() });
  expect(bytes(reversed, names.toReversed())).toBe(first);
});

test("files without services get no contract", () => {
  const response = generate(requestFor(set, ["other/other.proto", "unused.proto"]));
  expect(response).toMatchObject({ error: "", file: [] });
});

test("it is printed as the formatter would", async () => {
  const { source } = await load();
  workspace.write({ "formatted.ts": source });
  mustRun("biome", ["check", "--write", "--linter-enabled=false", "--vcs-enabled=false", workspace.at("formatted.ts")]);
  expect(readFileSync(workspace.at("formatted.ts"), "utf8")).toBe(source);
});
