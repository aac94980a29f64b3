import { ServerInterceptingCall, type ServerInterceptor } from "@grpc/grpc-js";
import { type CallContext, fail } from "bowline";
import { createServer, type Server, type ShedOptions } from "bowline/server";
import { OrderService } from "../../gen/shop/orders/v1/orders.contract.ts";
import type { GetOrderRequest } from "../../gen/shop/orders/v1/orders.ts";
import { systemClock } from "../../src/core/clock.ts";
import { seededRandom } from "../../src/testing/index.ts";
import { order } from "../message.ts";
import { handlers } from "../stacks/handlers.ts";
import { Workers, type WorkModel } from "./workers.ts";

/** What is served. */
export interface ServerModel extends WorkModel {
  /** How many servers, each with an address and workers of its own. */
  readonly servers: number;
  /** Whether a call that waits for a worker leaves when its signal aborts. Default: it is worked on for nobody. */
  readonly heedsSignal?: boolean;
  /** With how many calls there the handler refuses one more, with UNAVAILABLE. Default: it never does. */
  readonly refusesAt?: number;
  /** When the server sheds. Default: it takes on all calls. */
  readonly shed?: Omit<ShedOptions, "loopDelayMs">;
}

/** Servers of one model, on ports of their own. */
export class Backends {
  readonly #servers: readonly Server[];
  readonly #workers: readonly Workers[];
  /** Calls that have come, those that are refused among them: attempts, to their client. */
  #attempts = 0;

  constructor(model: ServerModel, seed: number) {
    const random = seededRandom(seed);
    this.#workers = Array.from({ length: model.servers }, () => new Workers(model, systemClock, random));
    this.#servers = this.#workers.map((workers) => this.#server(model, workers));
  }

  get attempts(): number {
    return this.#attempts;
  }

  listen(): Promise<number[]> {
    return Promise.all(this.#servers.map((server) => server.listen("127.0.0.1:0")));
  }

  slowDown(slowness: number): void {
    for (const workers of this.#workers) workers.slowness = slowness;
  }

  /** What is under way is broken off. */
  async stop(): Promise<void> {
    await Promise.all(this.#servers.map((server) => server.drain({ timeoutMs: 0 })));
  }

  #server({ shed, ...model }: ServerModel, workers: Workers): Server {
    const count: ServerInterceptor = (_, call) => {
      this.#attempts += 1;
      return new ServerInterceptingCall(call);
    };
    return createServer({
      drainOn: [],
      idempotency: false,
      validation: false,
      authenticate: false,
      // A machine that is busy with other things is no load here.
      ...(shed && { shed: { ...shed, loopDelayMs: Number.POSITIVE_INFINITY } }),
      channelOptions: { interceptors: [count] },
    }).add(OrderService, {
      ...handlers,
      getOrder: (_: GetOrderRequest, context: CallContext) => getOrder(model, workers, context),
    });
  }
}

async function getOrder({ refusesAt, heedsSignal }: ServerModel, workers: Workers, { signal }: CallContext) {
  if (refusesAt !== undefined && workers.present >= refusesAt) fail("UNAVAILABLE", "too much to do");
  await workers.work(heedsSignal ? signal : undefined);
  return order;
}
