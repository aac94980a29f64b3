import { Client, credentials, type ServiceError } from "@grpc/grpc-js";
import {
  anyDetail,
  clientMiddleware,
  fail,
  RpcError,
  retry,
  Status,
  type StatusDetail,
  type StatusDetailInit,
  toAny,
} from "bowline";
import { Metadata, ServerError } from "nice-grpc";
import { describe, expect, onTestFinished, test, vi } from "vitest";
import { Order } from "../../gen/shop/orders/v1/orders.ts";
import { connectItems, type Entry, serveItems } from "../support/batched-items.ts";
import { connectNice, serveNice } from "../support/nice-alone.ts";
import { connectOrders, rejection, serveOrders, serveOrdersOnNice } from "../support/orders.ts";
import { PatientOrders } from "../support/patient-orders.ts";
import { readAny, readStatus, writeStatus } from "../support/rpc-types.ts";

const DETAILS = "grpc-status-details-bin";

const written = [
  { $type: "google.rpc.BadRequest", fieldViolations: [{ field: "items[0].sku", description: "must not be empty" }] },
  { $type: "google.rpc.ErrorInfo", reason: "OUT_OF_STOCK", domain: "shop.example.com", metadata: { sku: "s-1 ü" } },
  anyDetail("shop.orders.v1.Order", Order, { orderId: "o-1", totalCents: 7n }),
] as const satisfies StatusDetailInit[];

const [, info, order] = written;
const badRequest = { field: "items[0].sku", description: "must not be empty", reason: "" };
/** The same as it is read: nothing is left out. */
const read = [
  { $type: "google.rpc.BadRequest", fieldViolations: [badRequest] },
  info,
  { ...order, value: new Uint8Array(order.value) },
];

const refuse = () => fail("FAILED_PRECONDITION", "none left", { statusDetails: written });

const refusing = {
  getOrder: async () => refuse(),
  importOrders: async () => refuse(),
  listOrders: () => refuse(),
  async *quoteBaskets() {
    yield { totalCents: 1n };
    refuse();
  },
};

type Orders = Pick<ReturnType<typeof connectOrders>, "getOrder" | "importOrders" | "listOrders" | "quoteBaskets">;

async function* none() {}

const kinds: [string, (orders: Orders) => Promise<unknown>][] = [
  ["unary", (orders) => orders.getOrder({ orderId: "o-1" })],
  ["client-stream", (orders) => orders.importOrders(none())],
  ["server-stream", (orders) => Array.fromAsync(orders.listOrders({}))],
  ["bidi, after a message", (orders) => Array.fromAsync(orders.quoteBaskets(none()))],
];

const servers = [
  ["ours", serveOrders],
  ["nice-grpc's with our middleware", serveOrdersOnNice],
] as const;

const clients: [string, (port: number) => Orders][] = [
  ["ours", (port) => connectOrders(port)],
  ["nice-grpc's with our middleware", (port) => connectNice(port, clientMiddleware(PatientOrders)) as never],
];

describe.each(servers)("details that a handler gives, on server %s", (_, serve) => {
  describe.each(clients)("and client %s", (_, connect) => {
    test.each(kinds)("reach the caller typed: %s", async (_, call) => {
      const { port } = await serve(refusing as never);
      const error = (await rejection(call(connect(port)))) as RpcError;
      expect(error).toMatchObject({ code: Status.FAILED_PRECONDITION, details: "none left", reason: "STATUS" });
      expect(error.statusDetails).toEqual(read);
      expect(error.statusDetail("google.rpc.ErrorInfo")?.metadata.sku).toBe("s-1 ü");
      expect(error.statusDetail("google.rpc.QuotaFailure")).toBeUndefined();
      expect(error.statusDetail("shop.orders.v1.Order", Order)).toMatchObject({ orderId: "o-1", totalCents: 7n });
      expect(error.statusDetail("shop.orders.v1.Other", Order)).toBeUndefined();
    });
  });
});

describe("what goes over the wire", () => {
  test("is a google.rpc.Status with the call's own code and text, as other gRPC libraries read it", async () => {
    const { port } = await serveOrders(refusing as never);
    const client = new Client(`127.0.0.1:${port}`, credentials.createInsecure());
    onTestFinished(() => client.close());
    const empty = Buffer.alloc(0);
    const path = "/shop.orders.v1.OrderService/GetOrder";
    const raw = await new Promise<ServiceError>((resolve) => {
      client.makeUnaryRequest(
        path,
        () => empty,
        (bytes) => bytes,
        {},
        (error) => resolve(error as ServiceError),
      );
    });
    const [bytes] = raw.metadata.get(DETAILS);
    const { code, message, details } = readStatus(bytes as Buffer);
    expect({ code, message, same: [raw.code, raw.details] }).toEqual({
      ...{ code: Status.FAILED_PRECONDITION, message: "none left" },
      same: [code, message],
    });
    expect(details.map(({ typeUrl }) => typeUrl)).toEqual([
      "type.googleapis.com/google.rpc.BadRequest",
      "type.googleapis.com/google.rpc.ErrorInfo",
      "type.googleapis.com/shop.orders.v1.Order",
    ]);
    const [first, second, third] = details;
    expect(first && readAny(first)).toEqual({ fieldViolations: [badRequest] });
    expect(second && readAny(second)).toEqual({ reason: info.reason, domain: info.domain, metadata: info.metadata });
    expect(third && Order.decode(third.value)).toMatchObject({ orderId: "o-1" });
  });

  test("is read by a client on nice-grpc alone from the trailer", async () => {
    const { port } = await serveOrders(refusing as never);
    let trailer = new Metadata();
    const onTrailer = (received: Metadata) => {
      trailer = received;
    };
    await rejection(connectNice(port).getOrder({}, { onTrailer }));
    expect(readStatus(trailer.get(DETAILS) as Uint8Array)).toMatchObject({ message: "none left" });
  });

  test.each<[string, StatusDetailInit[], StatusDetail[]]>([
    ["nothing of no details", [], []],
    [
      "defaults of what is left out",
      [{ $type: "google.rpc.RetryInfo" }, { $type: "google.rpc.DebugInfo" }],
      [{ $type: "google.rpc.RetryInfo" }, { $type: "google.rpc.DebugInfo", stackEntries: [], detail: "" }],
    ],
  ])("%s", async (_, statusDetails, expected) => {
    const { port } = await serveOrders({ getOrder: async () => fail("ABORTED", "no", { statusDetails }) });
    const error = (await rejection(connectOrders(port).getOrder({}))) as RpcError;
    expect(error.statusDetails).toEqual(expected);
    expect(error.trailer?.has(DETAILS)).toBe(expected.length > 0);
  });
});

describe("details that come from elsewhere", () => {
  const sending = (bytes: Uint8Array, times = 1) =>
    serveNice({
      async getOrder(_, { trailer }) {
        for (let n = 0; n < times; n += 1) trailer.append(DETAILS, bytes);
        throw new ServerError(Status.ABORTED, "no");
      },
    });

  test.each<[string, Uint8Array, StatusDetail[]]>([
    ["no status", new Uint8Array([0xff, 0xff]), []],
    ["empty", new Uint8Array(), []],
    ["a status without details", writeStatus(10, "no"), []],
    [
      "a type that nobody knows",
      writeStatus(10, "no", { typeUrl: "x/y.Z", value: new Uint8Array([1, 2]) }),
      [{ $type: "google.protobuf.Any", typeUrl: "x/y.Z", value: new Uint8Array([1, 2]) }],
    ],
    [
      "a known type that cannot be read, beside one that can",
      writeStatus(
        10,
        "no",
        { typeUrl: "x/google.rpc.Help", value: new Uint8Array([0x0a, 0x7f]) },
        toAny({ $type: "google.rpc.RequestInfo", requestId: "r" }),
      ),
      [
        { $type: "google.protobuf.Any", typeUrl: "x/google.rpc.Help", value: new Uint8Array([0x0a, 0x7f]) },
        { $type: "google.rpc.RequestInfo", requestId: "r", servingData: "" },
      ],
    ],
  ])("%s: never an error, and the bytes stay", async (_, bytes, expected) => {
    const error = (await rejection(connectOrders(await sending(bytes)).getOrder({}))) as RpcError;
    expect(error).toMatchObject({ code: Status.ABORTED, details: "no" });
    expect(error.statusDetails).toEqual(expected);
    expect(Buffer.compare(bytes, error.trailer?.get(DETAILS) as Buffer)).toBe(0);
  });

  test("of two statuses, all", async () => {
    const bytes = writeStatus(10, "no", toAny({ $type: "google.rpc.RequestInfo", requestId: "r" }));
    const error = (await rejection(connectOrders(await sending(bytes, 2)).getOrder({}))) as RpcError;
    expect(error.statusDetails).toHaveLength(2);
  });
});

describe("details on the way through policies", () => {
  test("are the last attempt's where a call was retried, and a RetryInfo says when", async () => {
    let served = 0;
    const getOrder = async () => {
      served += 1;
      const statusDetails: StatusDetailInit[] = [
        { $type: "google.rpc.RetryInfo", retryDelayMs: 1 },
        { $type: "google.rpc.RequestInfo", requestId: `r-${served}` },
      ];
      return fail("UNAVAILABLE", "down", { statusDetails });
    };
    const { port } = await serveOrders({ getOrder });
    const patient = retry({ maxAttempts: 3, initialBackoffMs: 60_000, maxBackoffMs: 60_000 });
    const error = (await rejection(connectNice(port, patient).getOrder({}))) as RpcError;
    expect({ served, attempts: error.attempts }).toEqual({ served: 3, attempts: 3 });
    expect(error.statusDetail("google.rpc.RequestInfo")?.requestId).toBe("r-3");
  });

  test("are an entry's own where calls were gathered", async () => {
    const { typeUrl, value } = toAny({ $type: "google.rpc.RequestInfo", requestId: "r" });
    // The codec of these tests is JSON.
    const { port } = await serveItems(async ({ requests }) => ({
      entries: requests.map(({ id }) => ({ error: { code: 5, message: id, details: [{ typeUrl, value }] } }) as Entry),
    }));
    const error = (await rejection(connectItems(port).getItem({ id: "a" }))) as RpcError;
    expect(error).toMatchObject({ code: Status.NOT_FOUND, details: "a" });
    expect(error.statusDetails.map(({ $type }) => $type)).toEqual(["google.rpc.RequestInfo"]);
    expect(error.with({ attempts: 2 }).statusDetails).toEqual(error.statusDetails);
  });

  test("of a call that a handler made are not told to its own client", async () => {
    const { port: below } = await serveOrders(refusing as never);
    const downstream = connectOrders(below);
    const onError = vi.fn();
    const getOrder = () => downstream.getOrder({});
    for (const serve of [serveOrders, serveOrdersOnNice]) {
      const { port } = await serve({ getOrder }, { onError });
      const error = (await rejection(connectOrders(port).getOrder({}))) as RpcError;
      expect(error).toMatchObject({ code: Status.INTERNAL, details: "internal error" });
      expect(error.statusDetails).toEqual([]);
      expect(error.trailer?.has(DETAILS)).toBe(false);
    }
    expect(onError.mock.calls.map(([error]) => (error as RpcError).statusDetails)).toEqual([read, read]);
  });
});

describe("details that are too large", () => {
  const violations = Array.from({ length: 1_000 }, (_, n) => ({ field: `items[${n}].sku`, description: "is empty" }));
  const wide = { $type: "google.rpc.BadRequest", fieldViolations: violations } as const;
  const large = anyDetail("shop.orders.v1.Order", Order, { orderId: "o".repeat(8_000) });
  const small = { $type: "google.rpc.RequestInfo", requestId: "r", servingData: "" } as const;

  async function told(message: string, statusDetails: StatusDetailInit[], trailer: Record<string, string> = {}) {
    const refused = async () => fail("INVALID_ARGUMENT", message, { statusDetails, trailer });
    const { port } = await serveOrders({ getOrder: refused });
    return (await rejection(connectOrders(port).getOrder({}))) as RpcError;
  }

  function bytesOf({ trailer, details }: RpcError): number {
    const fields = [...(trailer ?? [])].map(([key, values]) => {
      const [value] = values;
      const length = typeof value === "string" ? value.length : Math.ceil((value?.length ?? 0) / 3) * 4;
      return key.length + length + 32;
    });
    return fields.reduce((sum, bytes) => sum + bytes, encodeURI(details).length);
  }

  test("a list is cut to what there is room for, and what stands behind it is sent if it fits", async () => {
    const error = await told("ü".repeat(100), [small, wide, large, small], { "x-other": "o".repeat(500) });
    const kept = error.statusDetail("google.rpc.BadRequest")?.fieldViolations ?? [];
    expect(kept.length).toBeGreaterThan(50);
    expect(kept).toEqual(violations.slice(0, kept.length).map((violation) => ({ ...violation, reason: "" })));
    expect(bytesOf(error)).toBeLessThan(7.5 * 1_024);
    expect(bytesOf(error)).toBeGreaterThan(6.5 * 1_024);
  });

  test("what cannot be cut is left out, and the rest is sent", async () => {
    expect((await told("no", [small, large, small])).statusDetails).toEqual([small, small]);
  });

  test("the text goes first", async () => {
    const error = await told("t".repeat(6_000), [small]);
    expect(error).toMatchObject({ code: Status.INVALID_ARGUMENT, details: "t".repeat(6_000) });
    expect(error.statusDetails).toEqual([]);
  });

  test.each([
    ["letters", "t", 1],
    ["spaces", " ", 3],
    ["Chinese characters", "界", 9],
    ["characters of two units", "😀", 12],
  ])("a text of %s is cut between two, by its bytes on the wire", async (_, character, bytes) => {
    const error = await told(character.repeat(30_000), [small], { "x-other": "o".repeat(500) });
    const count = Math.floor((7 * 1_024 - 500 - "x-other".length - 32 - 3) / bytes);
    expect(error.details).toBe(`${character.repeat(count)}...`);
    expect(error.statusDetails).toEqual([]);
    expect(error.trailer?.get("x-other")).toBe("o".repeat(500));
  });

  test("the text of an error of nice-grpc's is cut too", async () => {
    const refuse = async () => {
      throw new ServerError(Status.ABORTED, "t".repeat(30_000));
    };
    for (const serve of [serveOrders, serveOrdersOnNice]) {
      const { port } = await serve({ getOrder: refuse });
      const error = (await rejection(connectOrders(port).getOrder({}))) as RpcError;
      expect(error).toMatchObject({ code: Status.ABORTED, details: `${"t".repeat(7 * 1_024 - 3)}...` });
    }
  });

  test("a text that begins with a byte order mark keeps it", async () => {
    const error = await told("no", [{ ...small, requestId: "\ufeffr" }]);
    expect(error.statusDetail("google.rpc.RequestInfo")?.requestId).toBe("\ufeffr");
  });
});

describe("fail", () => {
  test("names all that is wrong with details, and the client hears INTERNAL", async () => {
    const onError = vi.fn();
    const statusDetails = [
      { $type: "google.rpc.Nothing" },
      { $type: "google.rpc.ErrorInfo", reason: 7, metadata: { a: 1 } },
      { $type: "google.rpc.BadRequest", fieldViolations: [{ path: "a" }] },
      { $type: "google.rpc.RetryInfo", retryDelayMs: Number.NaN },
      { $type: "google.rpc.QuotaFailure", violations: [{ quotaValue: 7 }, null] },
      { $type: "google.protobuf.Any", typeUrl: "Order", value: "" },
      undefined,
    ] as never;
    const { port } = await serveOrders({ getOrder: async () => fail("ABORTED", "no", { statusDetails }) }, { onError });
    await expect(connectOrders(port).getOrder({})).rejects.toMatchObject({ code: Status.INTERNAL });
    const [[error]] = onError.mock.calls as [[TypeError]];
    expect(error.message.split("; ")).toEqual([
      expect.stringMatching(/^fail: statusDetails\[0\]\.\$type must be one of google\.rpc\.ErrorInfo, /),
      'it is "google.rpc.Nothing"',
      "statusDetails[1].reason must be a text",
      'statusDetails[1].metadata["a"] must be a text',
      "statusDetails[2].fieldViolations[0].path: there is no such field",
      "there are field, description, reason, localizedMessage",
      "statusDetails[3].retryDelayMs must be a number of milliseconds",
      "statusDetails[4].violations[0].quotaValue must be a bigint of 64 bits",
      "statusDetails[4].violations[1] must be an object",
      "statusDetails[5].typeUrl must end in a slash and the name of a message",
      "statusDetails[5].value must be bytes",
      "statusDetails[6] must be an object with $type",
    ]);
  });

  test("takes details in one place", () => {
    const trailer = { [DETAILS]: new Uint8Array() };
    const statusDetails = [{ $type: "google.rpc.Help" }] as const;
    expect(() => fail("ABORTED", "no", { trailer, statusDetails })).toThrow(
      `fail: statusDetails and the trailer ${DETAILS} are the same`,
    );
  });

  test("shows details to who catches it in the handler's own process, and to logs", () => {
    const error = (() => {
      try {
        return refuse();
      } catch (error) {
        return error as RpcError;
      }
    })();
    expect(error.statusDetails).toEqual(read);
    const { statusDetails } = JSON.parse(JSON.stringify(error)) as { statusDetails: unknown[] };
    expect(statusDetails).toEqual([...read.slice(0, 2), { $type: order.$type, typeUrl: order.typeUrl }]);
  });

  test("a log takes 64 bits as a text", () => {
    const statusDetails = [{ $type: "google.rpc.QuotaFailure", violations: [{ quotaValue: 7n }] }] as never;
    const error = new RpcError({ path: "", reason: "STATUS", details: "", statusDetails });
    expect(JSON.stringify(error)).toContain('"quotaValue":"7"');
  });
});
