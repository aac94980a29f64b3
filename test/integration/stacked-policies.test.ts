import { circuitBreaker, clientMiddleware, createClient, retry } from "bowline";
import { createChannel, createClientFactory, Metadata } from "nice-grpc";
import type { ClientMiddleware } from "nice-grpc-common";
import { expect, onTestFinished, test } from "vitest";
import type { OrderServiceClient } from "../../gen/shop/orders/v1/orders.contract.ts";
import { OrderServiceDefinition } from "../../gen/shop/orders/v1/orders.ts";
import { rejection } from "../support/orders.ts";
import { PatientOrders } from "../support/patient-orders.ts";
import { callForms } from "../support/policy-clients.ts";
import { rawServer } from "../support/raw-http2.ts";

const again = () => retry({ initialBackoffMs: 0.1, attemptTimeoutMs: 5_000 });

/** What nearly every middleware for tracing does. */
const tracing: ClientMiddleware = async function* tracing(call, options) {
  return yield* call.next(call.request, { ...options, metadata: Metadata(options.metadata).set("traceparent", "00") });
};

/** A client of nice-grpc's with middlewares, the outermost first. */
function nice(port: number, ...outermostFirst: ClientMiddleware[]): OrderServiceClient {
  const channel = createChannel(`127.0.0.1:${port}`);
  onTestFinished(() => channel.close());
  const factory = outermostFirst.reduceRight((factory, next) => factory.use(next), createClientFactory());
  return factory.create(OrderServiceDefinition, channel) as unknown as OrderServiceClient;
}

function ours(port: number, ...outermostFirst: ClientMiddleware[]): OrderServiceClient {
  const client = createClient(PatientOrders, `127.0.0.1:${port}`, { use: outermostFirst.reverse() });
  onTestFinished(() => client[Symbol.dispose]());
  return client;
}

const stacks: [string, (port: number) => OrderServiceClient][] = [
  ["retry around a breaker", (port) => nice(port, again(), circuitBreaker())],
  ["retry, tracing and a breaker", (port) => nice(port, again(), tracing, circuitBreaker())],
  ["retry around the contract's pipeline", (port) => nice(port, again(), clientMiddleware(PatientOrders))],
  [
    "the contract's pipeline around a breaker",
    (port) => nice(port, again(), clientMiddleware(PatientOrders), circuitBreaker()),
  ],
  ["retry around createClient's pipeline", (port) => ours(port, again())],
  ["retry and a breaker around createClient's pipeline", (port) => ours(port, again(), tracing, circuitBreaker())],
];

test.each(stacks.flatMap(([stack, connect]) => callForms.map(([form, make]) => [stack, form, connect, make] as const)))(
  "%s: a %s call is tried again",
  async (_stack, _form, connect, make) => {
    const server = await rawServer();
    const call = make(connect(server.port));
    (await server.next()).refuse(14);
    const second = await server.next();
    second.answer();
    await call;
    expect(second.headers["grpc-previous-rpc-attempts"]).toBe("1");
  },
);

test("a timeout that a middleware has put among the metadata comes through a breaker", async () => {
  const server = await rawServer();
  const call = nice(server.port, circuitBreaker()).getOrder({}, { metadata: { "grpc-timeout": "700m" } });
  const received = await server.next();
  received.answer();
  await call;
  expect(received.headers["grpc-timeout"]).toBe("700m");
});

test("what else is gRPC's own does not", async () => {
  const server = await rawServer();
  const call = nice(server.port, circuitBreaker()).getOrder({}, { metadata: { "grpc-encoding": "gzip" } });
  expect(await rejection(call)).toMatchObject({ reason: "REQUEST_NOT_ENCODABLE" });
});
