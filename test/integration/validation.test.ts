import { create, createFileRegistry, fromBinary } from "@bufbuild/protobuf";
import { FileDescriptorProtoSchema, FileDescriptorSetSchema } from "@bufbuild/protobuf/wkt";
import { closeClient, RpcError, Status } from "bowline";
import { createServer, serverMiddleware, type Validation, validate } from "bowline/server";
import { protovalidate } from "bowline/validate";
import { createChannel, createClient as createNiceClient, Metadata } from "nice-grpc";
import { describe, expect, onTestFinished, test, vi } from "vitest";
import { DescriptorRegistry } from "../../src/server/descriptor-registry.ts";
import {
  BrokenService,
  CheckService,
  connectChecks,
  counting,
  EvenService,
  OddService,
  RIGHT,
  serveChecks,
  servings,
  validation,
} from "../support/checked.ts";
import { gate, rejection } from "../support/orders.ts";
import { readAny, readStatus } from "../support/rpc-types.ts";
import { hasTool, runBeside } from "../support/tools.ts";

/** The fields and rules that a refusal names. */
async function violationsOf(promise: Promise<unknown>): Promise<string[]> {
  const error = (await rejection(promise)) as RpcError;
  expect(error).toMatchObject({ code: Status.INVALID_ARGUMENT, reason: "STATUS" });
  const violations = error.statusDetail("google.rpc.BadRequest")?.fieldViolations ?? [];
  return violations.map(({ field, reason }) => `${field} ${reason}`);
}

const GRPCURL = { name: "grpcurl", install: "go install github.com/fullstorydev/grpcurl/cmd/grpcurl@v1.9.3" };

async function* each(...requests: object[]) {
  yield* requests;
}

const WRONG = { ...RIGHT, name: "x" };

describe.each(servings)("constraints on %s", (_, serve) => {
  test("of unary and server-stream methods are checked before the handler", async () => {
    const { seen, handlers } = counting();
    const client = connectChecks(await serve(handlers));
    expect(await client.put(RIGHT)).toEqual({ count: 1 });
    expect(await Array.fromAsync(client.list(RIGHT))).toEqual([{ count: 2 }]);
    expect(await violationsOf(client.put(WRONG))).toEqual(["name string.min_len"]);
    expect(await violationsOf(Array.fromAsync(client.list(WRONG)))).toEqual(["name string.min_len"]);
    expect(seen).toHaveLength(2);
  });

  test("of streamed requests are checked one by one, where the handler reads them", async () => {
    const { seen, handlers } = counting();
    const client = connectChecks(await serve(handlers));
    expect(await client.upload(each(RIGHT, RIGHT))).toEqual({ count: 2 });
    expect(await violationsOf(client.upload(each(RIGHT, WRONG, RIGHT)))).toEqual(["name string.min_len"]);
    expect(seen).toHaveLength(3);
    const answers: unknown[] = [];
    const chat = async () => {
      for await (const answer of client.chat(each(RIGHT, WRONG, RIGHT))) answers.push(answer);
    };
    expect(await violationsOf(chat())).toEqual(["name string.min_len"]);
    expect([answers.length, seen.length]).toEqual([1, 4]);
  });

  test("what has no constraints is left alone", async () => {
    const { handlers } = counting();
    const client = connectChecks(await serve(handlers));
    expect(await client.free({ count: 0 })).toEqual({ count: 1 });
  });

  test("a rule that fails as it runs is no fault of the caller", async () => {
    const { seen, handlers } = counting();
    const onError = vi.fn();
    const client = connectChecks(await serve(handlers, { onError }));
    const error = (await rejection(client.put({ ...RIGHT, divisor: 7n }))) as RpcError;
    expect([Status.INTERNAL, Status.UNKNOWN]).toContain(error.code);
    expect([error.statusDetails, seen]).toEqual([[], []]);
    expect(error.details).not.toContain("bounds");
  });
});

describe("rules", () => {
  const item = { quantity: 1 };
  test.each<[string, object, string[]]>([
    ["nothing wrong, everything given", { name: "okay", items: [item], tags: ["a"], counts: { a: 1 }, page: 1 }, []],
    ["a text that is too long", { name: "x".repeat(11) }, ["name string.max_len"]],
    ["a list that is too long", { items: [item, item, item, item] }, ["items repeated.max_items"]],
    ["a nested field", { items: [item, { quantity: 0 }] }, ["items[1].quantity uint32.gte_lte"]],
    [
      "a message within itself",
      { items: [{ quantity: 1, child: { quantity: 1, child: { quantity: 101 } } }] },
      ["items[0].child.child.quantity uint32.gte_lte"],
    ],
    ["the entries of a list", { tags: ["a", ""] }, ["tags[1] string.min_len"]],
    ["entries that are the same", { tags: ["a", "a"] }, ["tags repeated.unique"]],
    ["the keys of a map", { counts: { long: 1 } }, ['counts["long"] string.max_len']],
    ["the values of a map", { counts: { a: 0 } }, ['counts["a"] int32.gt']],
    ["a oneof that must be given", { target: undefined }, ["target required"]],
    ["the field of a oneof", { target: { $case: "user", value: "" } }, ["user string.min_len"]],
    ["the message of a oneof", { target: { $case: "item", value: {} } }, ["item.quantity uint32.gte_lte"]],
    ["what may be left out", { email: "" }, []],
    ["what may be left out and is given", { email: "nobody" }, ["email string.email"]],
    ["what is ignored", { unchecked: "x" }, []],
    ["a rule of one's own", { slug: "No Slug" }, ["slug string.slug"]],
    ["a timestamp", { since: new Date(Date.now() + 60_000) }, ["since timestamp.lt_now"]],
    ["a duration", { wait: { seconds: 5n, nanos: 1 } }, ["wait duration.lte"]],
    ["a number that the enum has not", { level: 7 }, ["level enum.defined_only"]],
    ["CEL over a message", { range: { first: 2, last: 1 } }, ["range range.order"]],
    ["CEL that holds", { range: { first: 1, last: 1 } }, []],
    ["an optional field that is zero", { page: 0 }, ["page uint32.gte"]],
    [
      "all that is wrong",
      { name: "", items: [{}], tags: [""], page: 0 },
      ["name string.min_len", "items[0].quantity uint32.gte_lte", "tags[0] string.min_len", "page uint32.gte"],
    ],
  ])("%s", async (_, changes, expected) => {
    const { seen, handlers } = counting();
    const client = connectChecks(await serveChecks(handlers));
    const call = client.put({ ...RIGHT, ...changes });
    expect(
      await call.then(
        () => [],
        () => violationsOf(call),
      ),
    ).toEqual(expected);
    const wrapped = client.wrapped({ puts: [RIGHT, { ...RIGHT, ...changes }] });
    expect(
      await wrapped.then(
        () => [],
        () => violationsOf(wrapped),
      ),
    ).toEqual(expected.map((one) => `puts[1].${one}`));
    expect(seen).toHaveLength(expected.length === 0 ? 2 : 0);
  });

  test("the text names the first that are wrong and counts the others; the details name as many as they can", async () => {
    const { handlers } = counting();
    const client = connectChecks(await serveChecks(handlers));
    const tags = Array.from({ length: 1_500 }, () => "");
    const error = (await rejection(client.put({ ...RIGHT, tags }))) as RpcError;
    expect(error.details).toBe(
      [
        "tags repeated value must contain unique items",
        ...[0, 1, 2, 3].map((n) => `tags[${n}] must be at least 1 characters`),
        "and 1496 more",
      ].join("; "),
    );
    expect(error.statusDetail("google.rpc.BadRequest")?.fieldViolations.length).toBeGreaterThan(50);
  });

  test("of a request with thousands of values the first violation alone is told", async () => {
    const { seen, handlers } = counting();
    const client = connectChecks(await serveChecks(handlers));
    const items = Array.from({ length: 5_000 }, () => ({}));
    expect(await violationsOf(client.put({ ...RIGHT, items }))).toEqual(["items repeated.max_items"]);
    const tags = Array.from({ length: 5_000 }, (_, n) => String(n));
    await client.put({ ...RIGHT, tags });
    expect(await violationsOf(client.put({ ...RIGHT, tags: ["", ...tags, ""] }))).toEqual(["tags repeated.unique"]);
    expect(seen).toHaveLength(1);
  });

  test("a client on nice-grpc alone reads the violations out of the trailer", async () => {
    const { handlers } = counting();
    const channel = createChannel(`127.0.0.1:${await serveChecks(handlers)}`);
    onTestFinished(() => channel.close());
    const client = createNiceClient(CheckService.definition as never, channel) as never as {
      put(request: object, options: object): Promise<unknown>;
    };
    let trailer = new Metadata();
    const onTrailer = (received: Metadata) => {
      trailer = received;
    };
    await rejection(client.put(WRONG, { onTrailer }));
    const { code, details } = readStatus(trailer.get("grpc-status-details-bin") as Uint8Array);
    expect(code).toBe(Status.INVALID_ARGUMENT);
    expect(details.map(readAny)).toEqual([
      { fieldViolations: [{ field: "name", description: "must be at least 2 characters", reason: "string.min_len" }] },
    ]);
  });
});

describe("a stream of requests that is refused", () => {
  test.each(servings)("ends for the handler, which may answer all the same: %s", async (_, serve) => {
    const { handlers } = counting({
      async upload(requests: AsyncIterable<unknown>) {
        const iterator = requests[Symbol.asyncIterator]();
        const first = await iterator.next();
        const caught = await iterator.next().catch((error: unknown) => error);
        const after = await iterator.next();
        expect([first.done, caught instanceof RpcError, after.done]).toEqual([false, true, true]);
        return { count: 42 };
      },
    });
    const client = connectChecks(await serve(handlers));
    const trailers: string[] = [];
    const onTrailer = (trailer: Metadata) => void trailers.push(...[...trailer].map(([key]) => key));
    expect(await client.upload(each(RIGHT, WRONG, RIGHT), { onTrailer })).toEqual({ count: 42 });
    expect(trailers).not.toContain("grpc-status-details-bin");
  });

  test("ends for a handler that reads ahead, with the calls of next() in their order", async () => {
    const results = gate<PromiseSettledResult<IteratorResult<unknown>>[]>();
    const { handlers } = counting({
      async upload(requests: AsyncIterable<unknown>) {
        const iterator = requests[Symbol.asyncIterator]();
        results.resolve(await Promise.allSettled([iterator.next(), iterator.next(), iterator.next()]));
        return { count: 0 };
      },
    });
    const client = connectChecks(await serveChecks(handlers));
    await client.upload(each(RIGHT, WRONG, RIGHT));
    const [first, second, third] = await results.promise;
    expect(first).toMatchObject({ status: "fulfilled", value: { done: false } });
    expect(second).toMatchObject({ status: "rejected" });
    expect(third).toMatchObject({ status: "fulfilled", value: { done: true } });
  });

  test("lets go of the client's requests when the handler leaves early", async () => {
    const left = gate();
    async function* forever() {
      try {
        for (;;) yield RIGHT;
      } finally {
        left.resolve();
      }
    }
    const { handlers } = counting({
      async upload(requests: AsyncIterable<unknown>) {
        for await (const _ of requests) return { count: 7 };
        return { count: 0 };
      },
    });
    const client = connectChecks(await serveChecks(handlers));
    expect(await client.upload(forever())).toEqual({ count: 7 });
    await left.promise;
  });

  test("throws the signal's reason where the caller leaves in the middle", async () => {
    const caught = gate<unknown>();
    const reading = gate();
    const { handlers } = counting({
      async upload(requests: AsyncIterable<unknown>) {
        try {
          for await (const _ of requests) reading.resolve();
        } catch (error) {
          caught.resolve(error);
        }
        return { count: 0 };
      },
    });
    const client = connectChecks(await serveChecks(handlers));
    const never = gate();
    async function* requests() {
      yield RIGHT;
      await never.promise;
    }
    const call = rejection(client.upload(requests()));
    await reading.promise;
    closeClient(client);
    await call;
    expect(await caught.promise).toMatchObject({ name: "AbortError" });
    never.resolve();
  });
});

describe("reflection", () => {
  const [request, printed, own] = ["checks/v1/checks.proto", "buf/validate/validate.proto", "checks/v1/rules.proto"];

  test("has the file that constraints are written with, where they are evaluated", () => {
    const registry = new DescriptorRegistry([CheckService], validation.files);
    expect([...(registry.closure(request)?.keys() ?? [])]).toEqual(expect.arrayContaining([printed, own, request]));
    expect(registry.fileOfSymbol("checks.v1.is_slug")).toBe(own);
    expect(registry.fileOfExtension("google.protobuf.FieldOptions", 1_159)).toBe(printed);
  });

  test("does without it where they are not", () => {
    const registry = new DescriptorRegistry([CheckService]);
    const files = [...(registry.closure(request)?.values() ?? [])];
    expect([...(registry.closure(request)?.keys() ?? [])]).not.toContain(printed);
    // Nothing is missing in what a client is sent, and the constraints are still there.
    const set = create(FileDescriptorSetSchema, {
      file: files.map((file) => fromBinary(FileDescriptorProtoSchema, file)),
    });
    expect(createFileRegistry(set).getMessage("checks.v1.PutRequest")).toBeDefined();
    expect(Buffer.concat(files).includes("first must not be after last")).toBe(true);
  });

  test.skipIf(!hasTool(GRPCURL)).each([
    ["evaluated", validation],
    ["not evaluated", false],
  ] as const)("grpcurl calls methods whose constraints are %s", async (_, validation) => {
    const { handlers } = counting();
    const port = await serveChecks(handlers, { validation });
    const flags = ["-plaintext", "-d", '{"name":"okay","user":"u-1"}', `127.0.0.1:${port}`];
    expect(await runBeside("grpcurl", [...flags, "checks.v1.CheckService/Put"])).toContain('"count": 1');
  });
});

describe("adding a service", () => {
  const { handlers } = counting();
  const add = (options: object) =>
    createServer({ drainOn: [], ...options }).add(CheckService as never, handlers as never);
  const missing =
    "checks.v1.CheckService: the contract has constraints on the requests of Put, List, Upload, Chat, Wrapped; install @bufbuild/protovalidate and give the server { validation: protovalidate() }, from bowline/validate, or { validation: false } to serve them unchecked";

  test("whose constraints nobody evaluates is refused, unless they are not to be", () => {
    expect(() => add({})).toThrow(new TypeError(missing));
    const where = `serverMiddleware(${CheckService.name})`;
    expect(() => serverMiddleware(CheckService)).toThrow(new TypeError(missing.replace(CheckService.name, where)));
    expect(() => add({ validation: false })).not.toThrow();
    expect(() => serverMiddleware(CheckService, { validation: false })).not.toThrow();
  });

  test("unchecked lets everything through", async () => {
    const { seen, handlers } = counting();
    const client = connectChecks(await serveChecks(handlers, { validation: false }));
    await client.put(WRONG);
    expect(seen).toHaveLength(1);
  });

  test("with what is no validation is refused", () => {
    const none = "must be protovalidate() of bowline/validate, or false";
    expect(() => add({ validation: protovalidate })).toThrow(new TypeError(`createServer: validation ${none}`));
    expect(() => serverMiddleware(CheckService, { validation: true as never })).toThrow(
      new TypeError(`serverMiddleware(checks.v1.CheckService): validation ${none}`),
    );
    expect(() => validate(CheckService, {} as Validation)).toThrow(
      new TypeError(`validate: the second argument ${none}`),
    );
    expect(() => validate({} as never, protovalidate())).toThrow("validate: the first argument is no contract");
  });

  test("whose constraints cannot be evaluated is refused, and all of them are named", async () => {
    const add = async () => {
      const server = createServer({ drainOn: [], validation: protovalidate() });
      server.add(BrokenService as never, { do: () => 0, other: () => 0 } as never);
    };
    const { message } = (await rejection(add())) as TypeError;
    expect(message).toMatch(
      /^broken\.v1\.BrokenService: constraints that cannot be evaluated: broken\.v1\.DoRequest: /,
    );
    for (const named of ['Inner.a: the rule "open"', 'Inner.b: the rule "nobody == 1"', 'Inner.c: the rule "call"']) {
      expect(message).toContain(named);
    }
    expect(message).toContain("unbound function: unheardOf");
    expect(message).toMatch(/broken\.v1\.OtherRequest: .*uint32/);
  });

  test("whose constraints compile and can never be evaluated is refused, and each of them is named once", async () => {
    const add = async () =>
      createServer({ validation: protovalidate() }).add(OddService as never, { do() {} } as never);
    const { message } = (await rejection(add())) as TypeError;
    const named = message.split(": constraints that cannot be evaluated: odd.v1.DoRequest: ")[1]?.split("; ") ?? [];
    const texts = named.map((one) => one.replace(" cannot be evaluated", "").replaceAll("odd.v1.", ""));
    expect(texts.toSorted()).toEqual([
      'field DoRequest.a: its constraints: expected rule "int64", got "string" on field DoRequest.a',
      'field DoRequest.b: its constraints: expected rule "int64", got "bool" on field DoRequest.b',
      "field DoRequest.c: its constraints: error parsing regexp: missing closing ): `(`",
      "field DoRequest.d: the rule \"sum\": found no matching overload for '_+_' applied to '(string, int)'",
      'field DoRequest.d: the rule "this.nofield == 1": field not found: nofield',
      "field DoRequest.e: the rule \"this.matches('(')\": error parsing regexp: missing closing ): `(`",
      'field DoRequest.f: the rule "branch": expression branch outputs bigint, wanted either bool or string',
      "field DoRequest.h: its constraints: error parsing regexp: missing closing ]: `[`",
      "field Inner.a: its constraints: error parsing regexp: unexpected ): `)`",
      "message Leaf: the rule \"both\": found no matching overload for '_+_' applied to '(string, int)'",
      'message Leaf: the rule "gone": field not found: v',
    ]);
  });

  test("whose constraints some messages cannot be checked by is served", () => {
    const server = createServer({ validation: protovalidate() });
    expect(() => server.add(EvenService as never, { do() {} } as never)).not.toThrow();
  });
});
