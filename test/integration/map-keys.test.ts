import { Status } from "bowline";
import { createServer, type Validation, validate } from "bowline/server";
import { protovalidate } from "bowline/validate";
import { createServer as createNiceServer } from "nice-grpc";
import { expect, onTestFinished, test } from "vitest";
import { call, framed, session } from "../support/attacking.ts";
import { validatedContracts } from "../support/validated.ts";

const MAPS = `syntax = "proto3"; package maps.v1;
import "buf/validate/validate.proto";
service MapService {
  rpc Put(PutRequest) returns (Done);
  rpc Upload(stream Wrapped) returns (Done);
  rpc Count(Counts) returns (Done);
}
message Done { string told = 1; }
message Item { uint32 quantity = 1 [(buf.validate.field).uint32.lte = 10]; Wrapped wrapped = 2; }
message PutRequest { map<string, Item> items = 1; map<string, bytes> blobs = 2; }
message Wrapped { repeated PutRequest puts = 1; }
message Counts { map<string, int32> counts = 1; map<int32, Item> numbered = 2; }
`;

const contractOf = await validatedContracts("maps", { "maps/v1/maps.proto": MAPS });
const printed = contractOf("MapService");
const MapService = { ...printed, service: { ...printed.service, auth: {} } };

const field = (number: number, bytes: Uint8Array) =>
  Buffer.concat([Buffer.from([(number << 3) | 2, bytes.byteLength]), bytes]);
const entry = (key: string, value: Uint8Array) => Buffer.concat([field(1, Buffer.from(key)), field(2, value)]);

const FIVE = Buffer.from([8, 5]);
const item = (key: string) => field(1, entry(key, FIVE));

/** Handlers that keep what reaches them. */
function keeping() {
  const seen: unknown[] = [];
  const put = async (request: unknown) => {
    seen.push(request);
    return {};
  };
  const upload = async (requests: AsyncIterable<unknown>) => {
    for await (const request of requests) seen.push(request);
    return {};
  };
  return { seen, handlers: { put, count: put, upload } };
}

async function serve(validation: Validation | false, options: object = {}) {
  const { seen, handlers } = keeping();
  const server = createServer({ drainOn: [], authenticate: false, validation, ...options });
  server.add(MapService as never, handlers as never);
  onTestFinished(async () => void (await server.drain({ timeoutMs: 0 })));
  const connection = session(await server.listen("127.0.0.1:0"));
  const send = async (method: string, message: Uint8Array) =>
    (await call(connection, `/maps.v1.MapService/${method}`, framed(message))).grpc;
  return { seen, send };
}

const authenticate = async () => ({ identity: { key: "somebody", source: "token" as const } });

test.each([
  ["validated", protovalidate(), {}],
  ["unchecked", false, {}],
  ["decoded once its caller is known", protovalidate(), { authenticate }],
] as const)("a request that is %s has no map whose prototype came with it", async (_, validation, options) => {
  const { seen, send } = await serve(validation, options);
  const inherited = item("__proto__");
  expect(await send("Put", inherited)).toBe(Status.INTERNAL);
  expect(await send("Put", field(2, entry("__proto__", FIVE)))).toBe(Status.INTERNAL);
  expect(await send("Put", field(1, entry("a", field(2, field(1, inherited)))))).toBe(Status.INTERNAL);
  expect(await send("Upload", field(1, inherited))).toBe(Status.INTERNAL);
  expect(seen).toEqual([]);
  expect(await send("Put", item("a"))).toBe(Status.OK);
  expect(seen).toHaveLength(1);
});

test("other keys that objects have are keys like any", async () => {
  const { seen, send } = await serve(protovalidate());
  const keys = ["constructor", "toString", "hasOwnProperty", "prototype", ""];
  expect(await send("Put", Buffer.concat([...keys.map(item), field(2, entry("a", FIVE))]))).toBe(Status.OK);
  expect(await send("Upload", field(1, item("constructor")))).toBe(Status.OK);
  const [{ items }] = seen as [{ items: object }];
  expect(Object.keys(items)).toEqual(keys);
});

test("a value that can be no prototype is left out with its key", async () => {
  const { seen, send } = await serve(protovalidate());
  expect(await send("Count", field(1, entry("__proto__", new Uint8Array())))).toBe(Status.OK);
  expect(seen).toEqual([{ counts: {}, numbered: {} }]);
});

test("on nice-grpc's own server validation refuses what it cannot see", async () => {
  const { seen, handlers } = keeping();
  const server = createNiceServer().use(validate(MapService, protovalidate()));
  server.add(MapService.definition as never, handlers as never);
  const port = await server.listen("127.0.0.1:0");
  onTestFinished(() => server.forceShutdown());
  const path = "/maps.v1.MapService/Put";
  expect(await call(session(port), path, framed(item("__proto__")))).toMatchObject({ grpc: Status.INTERNAL });
  expect(await call(session(port), path, framed(item("a")))).toMatchObject({ grpc: Status.OK });
  expect(seen).toHaveLength(1);
});
