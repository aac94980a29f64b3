import { type Contract, closeClient, createClient, RpcError, Status } from "bowline";
import { createServer, type MessageCheck, type Validation, validate } from "bowline/server";
import { protovalidate } from "bowline/validate";
import { createServer as createNiceServer } from "nice-grpc";
import { describe, expect, onTestFinished, test, vi } from "vitest";
import { validatedContracts } from "../support/validated.ts";

const LEAF = `syntax = "proto3"; package rings.v1;
import "buf/validate/validate.proto";
message Leaf { string name = 1 [(buf.validate.field).string.min_len = 1]; Leaf child = 2; }
`;

const RINGS = `syntax = "proto3"; package rings.v1;
import "buf/validate/validate.proto";
import "rings/v1/leaf.proto";
message A {
  option (buf.validate.message).cel = {id: "a.twin" message: "b must not be named as this" expression: "!has(this.b) || this.b.name != this.name"};
  string name = 1 [(buf.validate.field).string.min_len = 1];
  B b = 2 [(buf.validate.field).cel = {id: "b.no_a" message: "must not be called a" expression: "this.name != 'a'"}];
  repeated B list = 3 [(buf.validate.field).repeated.max_items = 2];
  map<string, B> map = 4 [(buf.validate.field).map.keys.string.max_len = 1];
  oneof one { B chosen = 5; string text = 6; }
  A self = 7;
  B ignored = 8 [(buf.validate.field).ignore = IGNORE_ALWAYS];
  repeated B ignored_items = 9 [(buf.validate.field).repeated.items.ignore = IGNORE_ALWAYS];
  map<string, B> ignored_values = 10 [(buf.validate.field).map.values.ignore = IGNORE_ALWAYS];
  oneof must { option (buf.validate.oneof).required = true; bool yes = 11; bool no = 12; }
}
message B {
  string name = 1;
  A a = 2;
  repeated A list = 3;
  map<uint32, A> map = 4;
  oneof one { A chosen = 5; }
  Leaf leaf = 6;
  C c = 7 [(buf.validate.field).required = true];
}
message C { D d = 1; string name = 2 [(buf.validate.field).string.min_len = 1]; message Within { C c = 1; } Within within = 3; }
message D { repeated E e = 1; int64 quotient = 2 [(buf.validate.field).cel = {id: "quotient" expression: "10 / (this - 7) < 11"}]; }
message E { C c = 1; D d = 2; string name = 3 [(buf.validate.field).string.min_len = 1]; }
message F { G g = 1; }
message G { F f = 1; string name = 2; }
`;

const SERVICE = `syntax = "proto3"; package rings.v1;
import "rings/v1/rings.proto";
service RingService {
  rpc PutA(A) returns (Done);
  rpc PutB(B) returns (Done);
  rpc Put(PutRequest) returns (Done);
  rpc PutMany(stream PutRequest) returns (Done);
  rpc PutFree(F) returns (Done);
}
message Done { uint32 count = 1; }
message PutRequest { repeated Part parts = 1; message Part { A a = 1; C c = 2; F f = 3; } }
`;

const contractOf = await validatedContracts("rings", {
  "rings/v1/leaf.proto": LEAF,
  "rings/v1/rings.proto": RINGS,
  "rings/v1/service.proto": SERVICE,
});
const RingService = contractOf("RingService");
const real = protovalidate();
const checks = new Map<string, MessageCheck>();

/** protovalidate, whose rules are compiled once for all servers. */
const validation: Validation = {
  files: real.files,
  compile(registry) {
    const compiled = real.compile(registry);
    return (type) => {
      const check = checks.get(type.typeName) ?? compiled(type);
      checks.set(type.typeName, check);
      return check;
    };
  },
};

async function* each(...requests: object[]) {
  yield* requests;
}

const seen = vi.fn();
const accept = async (request: unknown) => {
  seen(request);
  return {};
};
const handlers = {
  ...{ putA: accept, putB: accept, put: accept, putFree: accept },
  async putMany(requests: AsyncIterable<unknown>) {
    for await (const request of requests) seen(request);
    return {};
  },
};

async function serve(): Promise<number> {
  const server = createServer({ drainOn: [], validation, onError: () => {} });
  server.add(RingService as Contract<never, unknown, object>, handlers);
  onTestFinished(async () => void (await server.drain({ timeoutMs: 1 })));
  return server.listen("127.0.0.1:0");
}

async function serveOnNice(): Promise<number> {
  const server = createNiceServer().use(validate(RingService, validation));
  server.add(RingService.definition as never, handlers as never);
  onTestFinished(() => server.forceShutdown());
  return server.listen("127.0.0.1:0");
}

type Client = Record<"putA" | "putB" | "put" | "putFree", (request: object) => Promise<object>> & {
  putMany(requests: AsyncIterable<object>): Promise<object>;
};

function connect(port: number): Client {
  const client = createClient(RingService as Contract<never, Client>, `127.0.0.1:${port}`);
  onTestFinished(() => closeClient(client));
  seen.mockClear();
  return client;
}

/** What a refusal names; nothing if the request was served. */
async function violationsOf(call: Promise<unknown>): Promise<string[]> {
  const error = await call.then(
    () => undefined,
    (error: unknown) => error,
  );
  if (error === undefined) return [];
  if (!(error instanceof RpcError) || error.code !== Status.INVALID_ARGUMENT) throw error;
  const violations = error.statusDetail("google.rpc.BadRequest")?.fieldViolations ?? [];
  return violations.map(({ field, reason }) => `${field} ${reason}`);
}

const a = (more: object = {}) => ({ name: "n", must: { $case: "yes", value: true }, ...more });
const b = (more: object = {}) => ({ c: { name: "c" }, ...more });
const WRONG = a({ name: "" });
const TWIN = a({ b: b({ name: "n" }) });

const REQUESTS: [string, keyof Client, object, string[]][] = [
  ["nothing wrong", "putA", a({ b: b({ a: a({ b: b({ a: a() }) }) }) }), []],
  ["in a field", "putA", a({ b: b({ a: WRONG }) }), ["b.a.name string.min_len"]],
  [
    "in lists",
    "putA",
    a({ list: [b(), b({ list: [a(), WRONG, WRONG] })] }),
    ["list[1].list[1].name string.min_len", "list[1].list[2].name string.min_len"],
  ],
  [
    "in maps",
    "putA",
    a({ map: { k: b({ map: { 1: a(), 4000000000: WRONG } }) } }),
    ['map["k"].map[4000000000].name string.min_len'],
  ],
  [
    "in oneofs",
    "putA",
    a({ one: { $case: "chosen", value: b({ one: { $case: "chosen", value: WRONG } }) } }),
    ["chosen.chosen.name string.min_len"],
  ],
  [
    "in one of its own type, within another",
    "putB",
    b({ a: a({ self: a({ self: WRONG, b: b({ a: a({ self: WRONG }) }) }) }) }),
    ["a.self.self.name string.min_len", "a.self.b.a.self.name string.min_len"],
  ],
  ["of a type that is no other's first", "putB", b({ a: WRONG }), ["a.name string.min_len"]],
  ["after the way around", "putB", b({ a: a({ b: b({ a: WRONG }) }) }), ["a.b.a.name string.min_len"]],
  ["that is required", "putA", a({ b: b({ a: a({ b: {} }) }) }), ["b.a.b.c required"]],
  ["a rule that asks for the other's fields", "putA", a({ b: b({ a: TWIN }) }), ["b.a a.twin"]],
  ["a rule of the field", "putB", b({ a: a({ b: b({ name: "a" }) }) }), ["a.b b.no_a"]],
  ["a oneof's rule", "putA", a({ b: b({ a: { name: "n" } }) }), ["b.a.must required"]],
  [
    "of its lists and maps",
    "putB",
    b({ a: a({ list: [b(), b(), b()], map: { long: b() } }) }),
    ["a.list repeated.max_items", 'a.map["long"] string.max_len'],
  ],
  [
    "in what is in it, and in no ring",
    "putA",
    a({ b: b({ a: a({ b: b({ leaf: { name: "l", child: {} } }) }) }) }),
    ["b.a.b.leaf.child.name string.min_len"],
  ],
  [
    "in a ring of three, behind another ring",
    "putA",
    a({ b: b({ c: { name: "c", d: { e: [{ name: "e", c: { d: { e: [{}] } } }] } } }) }),
    ["b.c.d.e[0].c.name string.min_len", "b.c.d.e[0].c.d.e[0].name string.min_len"],
  ],
  [
    "in the lesser ring of one",
    "put",
    { parts: [{ c: { name: "c", d: { e: [{ name: "e", d: { e: [{}] } }] }, within: { c: {} } } }] },
    ["parts[0].c.d.e[0].d.e[0].name string.min_len", "parts[0].c.within.c.name string.min_len"],
  ],
  [
    "from outside",
    "put",
    { parts: [{ f: { g: { f: {} } } }, { a: a({ b: b({ a: WRONG }) }) }] },
    ["parts[1].a.b.a.name string.min_len"],
  ],
  [
    "that is ignored",
    "putB",
    b({ a: a({ ignored: { a: WRONG }, ignoredItems: [{ a: WRONG }], ignoredValues: { k: { a: WRONG } } }) }),
    [],
  ],
  ["in a ring without any", "putFree", { g: { f: { g: {} } } }, []],
];

describe.each([
  ["our server", serve],
  ["nice-grpc's server with validate() alone", serveOnNice],
])("constraints of messages that contain each other, on %s", (_, serve) => {
  test("are checked wherever they are, each once", async () => {
    const client = connect(await serve());
    for (const [name, method, request, expected] of REQUESTS) {
      const call = client[method](request as never);
      expect([name, ...(await violationsOf(call))]).toEqual([name, ...expected]);
    }
    expect(seen).toHaveBeenCalledTimes(REQUESTS.filter(([, , , expected]) => expected.length === 0).length);
  });

  test("are checked in streamed requests", async () => {
    const client = connect(await serve());
    const wrong = { parts: [{ a: a({ b: b({ a: WRONG }) }) }] };
    expect(await violationsOf(client.putMany(each({}, wrong, {})))).toEqual(["parts[0].a.b.a.name string.min_len"]);
    expect(seen).toHaveBeenCalledTimes(1);
  });
});

describe("requests that are meant to hurt", () => {
  const ring = (steps: number): object => (steps === 0 ? WRONG : a({ b: b({ a: ring(steps - 1) }) }));

  test("are checked as deep as they are decoded, and refused beyond", async () => {
    const client = connect(await serve());
    expect(await violationsOf(client.putA(ring(49)))).toEqual([`${"b.a.".repeat(49)}name string.min_len`]);
    await expect(client.putA(ring(51))).rejects.toMatchObject({ code: Status.INTERNAL });
    await expect(client.putA(ring(2_000))).rejects.toMatchObject({ code: Status.INTERNAL });
    expect(seen).not.toHaveBeenCalled();
  });

  test("have the first that is wrong told, if they are large", async () => {
    const client = connect(await serve());
    const e = Array.from({ length: 5_000 }, (_, n) => ({ name: "e", c: { name: n < 4_000 ? "c" : "" } }));
    const expected = ["parts[0].c.d.e[4000].c.name string.min_len"];
    expect(await violationsOf(client.put({ parts: [{ c: { name: "c", d: { e } } }] }))).toEqual(expected);
  });

  test("come upon rules that fail as they run: it is no fault of the caller", async () => {
    const client = connect(await serve());
    const failing = { name: "", d: { e: [{ name: "e", c: { d: { quotient: 7n } } }] } };
    await expect(client.put({ parts: [{ c: failing }] })).rejects.toMatchObject({ code: Status.INTERNAL });
  });
});
