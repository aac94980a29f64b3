import { readFileSync } from "node:fs";
import { clientMiddleware, closeClient, createClient, type Observer } from "bowline";
import type { FaultProxy } from "bowline/testing";
import { createChannel, createClientFactory } from "nice-grpc";
import type { OrderServiceClient } from "../../../gen/shop/orders/v1/orders.contract.ts";
import { OrderEvent, OrderServiceDefinition } from "../../../gen/shop/orders/v1/orders.ts";
import { HastyOrders } from "./contract.ts";
import type { ChaosScript, Way } from "./script.ts";

/** A dead connection is for keepalive to find: as often as heartbeats would be missed. */
const KEEPALIVE_MS = 300;
/** When a script that has not come to its end counts as failed. */
const GIVE_UP_MS = 20_000;

const ca = readFileSync(new URL("../../fixtures/tls/ca.pem", import.meta.url));

/** What no script may come to: it is a gap at the end. */
export const ENDED = new Error("the stream ended by itself");

/** What a script came to. */
export interface Outcome {
  readonly script: ChaosScript;
  readonly start: bigint;
  /** What came, as `identity` has it. */
  readonly events: readonly string[];
  /** What the stream ended with, unless it was read as far as it was to be. */
  readonly error: unknown;
  /** What happened to each connection and call that a rule took, such as `connection cut`. */
  readonly faults: readonly string[];
  /** How often the client told that the stream was reopened, and that it had stalled. */
  readonly resumed: number;
  readonly stalled: number;
}

/** All that an event says: two are the same if and only if these are. */
export function identity(event: OrderEvent): string {
  return Buffer.from(OrderEvent.encode(event).finish()).toString("base64");
}

/** Reads the script's stream through the proxy while its faults happen. @param newest the last revision there is. */
export async function play(proxy: FaultProxy, script: ChaosScript, newest: bigint): Promise<Outcome> {
  await proxy.script(...script.rules);
  await proxy.forget();
  const acts: string[] = [];
  const { orders, close } = connect(proxy.target, script.way, (event) => {
    if (event.type === "policy") acts.push(`${event.policy} ${event.action}`);
  });
  const start = newest - BigInt(script.behind);
  const events: string[] = [];
  const error = await read(orders, start, script.events, events);
  close();
  const { connections, calls } = await proxy.seen();
  const faults = [
    ...connections.flatMap(({ fault }) => (fault ? [`connection ${fault}`] : [])),
    ...calls.flatMap(({ fault }) => (fault ? [`call ${fault}`] : [])),
  ];
  const count = (what: string) => acts.filter((act) => act === what).length;
  return { script, start, events, error, faults, resumed: count("resume resumed"), stalled: count("stall stalled") };
}

/** Reads so many events. @returns what the stream ended with before that. */
async function read(orders: OrderServiceClient, afterRevision: bigint, most: number, into: string[]): Promise<unknown> {
  try {
    const signal = AbortSignal.timeout(GIVE_UP_MS);
    for await (const event of orders.watchOrders({ afterRevision }, { signal })) {
      if (into.push(identity(event)) === most) return undefined;
    }
    return ENDED;
  } catch (error) {
    return error;
  }
}

/** A client, and what closes it. */
function connect(target: string, way: Way, observer: Observer): { readonly orders: OrderServiceClient; close(): void } {
  if (way === "nice") {
    const channel = createChannel(target, undefined, {
      ...{ "grpc.keepalive_time_ms": KEEPALIVE_MS, "grpc.keepalive_timeout_ms": KEEPALIVE_MS },
      // What `connectTimeoutMs` is below: nice-grpc would wait 20 s for a server that accepts and says nothing.
      "grpc.min_reconnect_backoff_ms": 300,
      ...{ "grpc.initial_reconnect_backoff_ms": 10, "grpc.max_reconnect_backoff_ms": 100 },
    });
    const factory = createClientFactory().use(clientMiddleware(HastyOrders, { observer }));
    const orders = factory.create(OrderServiceDefinition, channel) as unknown as OrderServiceClient;
    return { orders, close: () => channel.close() };
  }
  const tls = way === "tls" ? { tls: { ca } } : {};
  const reconnect = { initialReconnectBackoffMs: 10, maxReconnectBackoffMs: 100, connectTimeoutMs: 300 };
  const keepalive = { keepaliveTimeMs: KEEPALIVE_MS, keepaliveTimeoutMs: KEEPALIVE_MS };
  const orders = createClient(HastyOrders, target, { observer, ...tls, ...reconnect, ...keepalive });
  return { orders, close: () => closeClient(orders) };
}
