import { createClient } from "bowline";
import { describe, expect, test } from "vitest";
import { OrderService } from "../../../gen/shop/orders/v1/orders.contract.ts";
import { clientMiddleware } from "../../../src/client/client-middleware.ts";
import { type ClientOptions, checkClientOptions } from "../../../src/client/client-options.ts";

const pem = "-----BEGIN CERTIFICATE-----";
const plaintext =
  "plaintext would leave this machine: set tls: true, or insecure: true if the network is to be trusted";
const noTarget = 'the target must be a name such as "dns:///orders:50051"';

const names = [
  "timeoutMs, maxAttemptsLimit, observer, criticality, partition, fallback, maxMetadataBytes, tls, credentials, insecure, use, keepaliveTimeMs, keepaliveTimeoutMs, connectTimeoutMs",
  "initialReconnectBackoffMs, maxReconnectBackoffMs, maxReceiveMessageBytes, channelOptions",
].join(", ");

describe("createClient refuses", () => {
  test.each([
    ["a definition", OrderService.definition],
    ["nothing", undefined],
    ["null", null],
  ])("%s for a contract", (_, contract) => {
    expect(() => createClient(contract as never, "localhost:1")).toThrow(
      "createClient: the first argument is no contract; pass the service's value out of its .contract.ts",
    );
    expect(() => clientMiddleware(contract as never)).toThrow("clientMiddleware: the first argument is no contract");
  });

  test.each<[string, ClientOptions, string]>([
    ["", {}, noTarget],
    [undefined as never, {}, noTarget],
    ["orders:50051", {}, plaintext],
    ["dns:///orders:50051", { insecure: false }, plaintext],
    ["orders:50051", { tls: true, insecure: true }, "tls and insecure exclude each other"],
    ["localhost", {}, "the target must end in a port, such as orders:50051"],
    [":1", { insecure: true }, "the target must end in a port, such as orders:50051"],
    ["127.0.0.1:99999", {}, "the target's port must be at most 65535; it is 99999"],
    ["dns:///localhost:65536", {}, "the target's port must be at most 65535; it is 65536"],
    ["[::1]:123456", {}, "the target's port must be at most 65535; it is 123456"],
    ["ipv4:127.0.0.1:70000,127.0.0.2:1", {}, "the target's port must be at most 65535; it is 70000"],
    ["orders:99999", {}, `the target's port must be at most 65535; it is 99999; ${plaintext}`],
    ["http://orders:1", {}, "the target is no URL: leave http:// or https:// out, and set tls: true for TLS"],
    ["localhost:1", null as never, "the options must be an object; they are null"],
    ["localhost:1", "tls" as never, "the options must be an object; they are tls"],
    ["localhost:1", { timeout: 5 } as never, `there is no option timeout; there are ${names}`],
    ["localhost:1", { timeoutMs: "5" as never }, 'timeoutMs must be a number; it is "5"'],
    ["localhost:1", { maxAttemptsLimit: 0 }, "maxAttemptsLimit must be a whole number of at least 1; it is 0"],
    ["localhost:1", { maxAttemptsLimit: 2.5 }, "maxAttemptsLimit must be a whole number of at least 1; it is 2.5"],
    ["localhost:1", { use: [5] as never }, "use must be an array of functions; it is 5"],
    ["localhost:1", { observer: 5 as never }, "observer must be a function; it is 5"],
    ["localhost:1", { channelOptions: 5 as never }, "channelOptions must be an object; it is 5"],
    ["localhost:1", { tls: "yes" as never }, "tls must be true, or { ca, cert, key, serverName }"],
    ["localhost:1", { tls: { ca: "ca.pem" } }, "tls.ca must be the text of a PEM file, not its name"],
    ["localhost:1", { tls: { CA: pem } as never }, "there is no option tls.CA; there are ca, cert, key, serverName"],
    ["localhost:1", { tls: { serverName: "" } }, "tls.serverName must be a name"],
    ["localhost:1", { insecure: 1 as never }, "insecure must be true or false; it is 1"],
    ["localhost:1", { timeoutMs: 0 }, "timeoutMs must be greater than zero; it is 0"],
    ["localhost:1", { timeoutMs: Number.NaN }, "timeoutMs must be greater than zero; it is NaN"],
    ["localhost:1", { keepaliveTimeMs: 0 }, "keepaliveTimeMs must be greater than zero; it is 0"],
    ["localhost:1", { keepaliveTimeoutMs: -1 }, "keepaliveTimeoutMs must be greater than zero; it is -1"],
    ["localhost:1", { connectTimeoutMs: 0 }, "connectTimeoutMs must be greater than zero; it is 0"],
    ["localhost:1", { initialReconnectBackoffMs: 0 }, "initialReconnectBackoffMs must be greater than zero; it is 0"],
    ["localhost:1", { maxReconnectBackoffMs: 0 }, "maxReconnectBackoffMs must be greater than zero; it is 0"],
    ["localhost:1", { maxReceiveMessageBytes: 0 }, "maxReceiveMessageBytes must be greater than zero; it is 0"],
    ["localhost:1", { maxMetadataBytes: 0 }, "maxMetadataBytes must be a whole number of at least 1; it is 0"],
    ["localhost:1", { maxMetadataBytes: 1.5 }, "maxMetadataBytes must be a whole number of at least 1; it is 1.5"],
    ["localhost:1", { tls: { cert: pem } }, "tls.cert and tls.key go together"],
    ["localhost:1", { tls: { key: pem } }, "tls.cert and tls.key go together"],
  ])("%j with %j", (target, options, problem) => {
    expect(() => checkClientOptions(target, options)).toThrow(
      new TypeError(`createClient(${JSON.stringify(target)}): ${problem}`),
    );
  });

  test("all at once, before it opens anything", () => {
    const options = { timeoutMs: -1, keepaliveTimeMs: 0, tls: false, maxReceiveMessageBytes: Number.NaN };
    expect(() => createClient(OrderService, "orders:50051", options)).toThrow(
      new TypeError(
        `createClient("orders:50051"): ${[
          plaintext,
          "timeoutMs must be greater than zero; it is -1",
          "keepaliveTimeMs must be greater than zero; it is 0",
          "maxReceiveMessageBytes must be greater than zero; it is NaN",
        ].join("; ")}`,
      ),
    );
  });
});

test.each<[string, ClientOptions]>([
  ["localhost:50051", {}],
  ["localhost:1", { maxMetadataBytes: 1 }],
  ["localhost:1", { maxMetadataBytes: Number.POSITIVE_INFINITY }],
  ["unix:/run/orders.sock", {}],
  ["dns:///orders:50051", { tls: true }],
  ["dns:///orders:50051", { tls: { ca: pem } }],
  ["dns:///orders:50051", { tls: { cert: pem, key: pem } }],
  ["orders:50051", { insecure: true }],
  ["127.0.0.1:65535", {}],
  ["localhost:0", {}],
  ["ipv6:[::1]:65535,[::1]:1", {}],
  ["ipv6:::1,[::1]:50051", {}],
  ["unix:/run/orders:99999", {}],
  ["unix-abstract:orders:99999", {}],
  ["xds:///orders:99999", { tls: true }],
  ["localhost:50051", { maxAttemptsLimit: 1 }],
  ["localhost:50051", { insecure: true, timeoutMs: 0.5, keepaliveTimeMs: Number.POSITIVE_INFINITY }],
])("createClient takes %j with %j", (target, options) => {
  expect(() => checkClientOptions(target, options)).not.toThrow();
});

test("clientMiddleware refuses what holds for all calls and cannot be", () => {
  expect(() => clientMiddleware(OrderService, { timeoutMs: 0 })).toThrow(
    new TypeError("clientMiddleware(shop.orders.v1.OrderService): timeoutMs must be greater than zero; it is 0"),
  );
  expect(() => clientMiddleware(OrderService, { maxAttemptsLimit: 0 })).toThrow(
    new TypeError(
      "clientMiddleware(shop.orders.v1.OrderService): maxAttemptsLimit must be a whole number of at least 1; it is 0",
    ),
  );
});
