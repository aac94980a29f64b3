import { closeClient, createClient, type MethodPolicy, type ServicePolicy } from "bowline";
import { contract } from "bowline/runtime/v1";
import { OrderService, type OrderServiceClient } from "../../gen/shop/orders/v1/orders.contract.ts";
import { systemClock } from "../../src/core/clock.ts";
import { seededRandom } from "../../src/testing/index.ts";
import { type CallRecord, type Load, offer } from "./arrivals.ts";

/** What people write by hand: a loop around the call, with nothing between two attempts and no limit but their number. */
export interface Loop {
  readonly attempts: number;
  /** How long one may take, in milliseconds. */
  readonly attemptMs: number;
}

const REQUEST = { orderId: "o-000042" };
/** How often it is tried to make a first call. */
const FIRST_CALLS = 10;

/** What a client does. */
export interface ClientModel {
  /** Of the whole call, in milliseconds. */
  readonly timeoutMs: number;
  /** What the contract says of the service; what it does not say takes its default. */
  readonly service?: ServicePolicy;
  /** What it says of the method. */
  readonly method?: MethodPolicy;
  readonly loop?: Loop;
}

/** A client of the servers at some ports, which take turns. */
export class Caller {
  readonly #model: ClientModel;
  readonly #orders: OrderServiceClient;

  constructor(model: ClientModel, ports: readonly number[]) {
    const { timeoutMs, service = {}, method = {} } = model;
    const policies = { service, methods: { getOrder: { timeoutMs, ...method } } };
    const target = `ipv4:${ports.map((port) => `127.0.0.1:${port}`).join(",")}`;
    this.#model = model;
    this.#orders = createClient(contract({ ...OrderService, ...policies }), target, {
      channelOptions: { "grpc.service_config": JSON.stringify({ loadBalancingConfig: [{ round_robin: {} }] }) },
    });
  }

  /** Makes a call that succeeds: the first one waits for the connection, and for code that has never run. */
  async connect(): Promise<void> {
    for (let left = FIRST_CALLS; left > 0; left -= 1) {
      const ok = await this.#orders.getOrder(REQUEST, { waitForReady: true }).then(
        () => true,
        () => false,
      );
      if (ok) return;
    }
    throw new Error("the servers do not answer");
  }

  /** Makes the calls of a load, and is closed. */
  async offer(load: Load, seed: number): Promise<CallRecord[]> {
    const { loop } = this.#model;
    const call = loop ? () => this.#loop(loop) : () => this.#orders.getOrder(REQUEST);
    const records = await offer(load, call, systemClock, seededRandom(seed));
    closeClient(this.#orders);
    return records;
  }

  async #loop({ attempts, attemptMs }: Loop): Promise<unknown> {
    const deadline = systemClock.now() + this.#model.timeoutMs;
    for (let left = attempts - 1; ; left -= 1) {
      try {
        const leftMs = Math.max(1, deadline - systemClock.now());
        return await this.#orders.getOrder(REQUEST, { timeoutMs: Math.min(attemptMs, leftMs) });
      } catch (error) {
        if (left === 0 || systemClock.now() >= deadline) throw error;
      }
    }
  }
}
