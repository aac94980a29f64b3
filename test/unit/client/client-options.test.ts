import { createClient } from "bowline";
import { describe, expect, test } from "vitest";
import { OrderService } from "../../../gen/shop/orders/v1/orders.contract.ts";
import { clientMiddleware } from "../../../src/client/client-middleware.ts";
import { type ClientOptions, checkClientOptions } from "../../../src/client/client-options.ts";

const plaintext =
  "plaintext would leave this machine: set tls: true, or insecure: true if the network is to be trusted";
const noTarget = 'the target must be a name such as "dns:///orders:50051"';

describe("createClient refuses", () => {
  test.each<[string, ClientOptions, string]>([
    ["", {}, noTarget],
    [undefined as never, {}, noTarget],
    ["orders:50051", {}, plaintext],
    ["dns:///orders:50051", { insecure: false }, plaintext],
    ["orders:50051", { tls: true, insecure: true }, "tls and insecure exclude each other"],
    ["localhost:1", { timeoutMs: 0 }, "timeoutMs must be greater than zero; it is 0"],
    ["localhost:1", { timeoutMs: Number.NaN }, "timeoutMs must be greater than zero; it is NaN"],
    ["localhost:1", { keepaliveTimeMs: 0 }, "keepaliveTimeMs must be greater than zero; it is 0"],
    ["localhost:1", { keepaliveTimeoutMs: -1 }, "keepaliveTimeoutMs must be greater than zero; it is -1"],
    ["localhost:1", { connectTimeoutMs: 0 }, "connectTimeoutMs must be greater than zero; it is 0"],
    ["localhost:1", { initialReconnectBackoffMs: 0 }, "initialReconnectBackoffMs must be greater than zero; it is 0"],
    ["localhost:1", { maxReconnectBackoffMs: 0 }, "maxReconnectBackoffMs must be greater than zero; it is 0"],
    ["localhost:1", { maxReceiveMessageBytes: 0 }, "maxReceiveMessageBytes must be greater than zero; it is 0"],
    ["localhost:1", { tls: { cert: "c" } }, "tls.cert and tls.key go together"],
    ["localhost:1", { tls: { key: "k" } }, "tls.cert and tls.key go together"],
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
  ["unix:/run/orders.sock", {}],
  ["dns:///orders:50051", { tls: true }],
  ["dns:///orders:50051", { tls: { ca: "pem" } }],
  ["dns:///orders:50051", { tls: { cert: "c", key: "k" } }],
  ["orders:50051", { insecure: true }],
  ["localhost:50051", { insecure: true, timeoutMs: 0.5, keepaliveTimeMs: Number.POSITIVE_INFINITY }],
])("createClient takes %j with %j", (target, options) => {
  expect(() => checkClientOptions(target, options)).not.toThrow();
});

test("clientMiddleware refuses what holds for all calls and cannot be", () => {
  expect(() => clientMiddleware(OrderService, { timeoutMs: 0 })).toThrow(
    new TypeError("clientMiddleware(shop.orders.v1.OrderService): timeoutMs must be greater than zero; it is 0"),
  );
});
