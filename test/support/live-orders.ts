import { setImmediate } from "node:timers/promises";
import { OrderServiceDefinition } from "../../gen/shop/orders/v1/orders.ts";
import type { PipelineOptions } from "../../src/client/client-options.ts";
import type { ClientState } from "../../src/client/client-state.ts";
import { composeStream, composeUnary } from "../../src/client/pipeline.ts";
import { LivePolicies } from "../../src/client/updates/live-policies.ts";
import type { PolicyChanges } from "../../src/client/updates/policy-changes.ts";
import { type Contract, contract } from "../../src/contract/contract.ts";
import { toMethod } from "../../src/contract/definition.ts";
import type { MethodPolicy, ServicePolicy } from "../../src/contract/policy.ts";
import type { Attempt, Call, StreamHandler, UnaryHandler } from "../../src/core/call.ts";
import type { MessageStream } from "../../src/core/message-stream.ts";
import type { Observer, ObserverEvent } from "../../src/core/observer.ts";
import { fakeClock } from "../../src/testing/index.ts";
import { aClientState } from "./client-state.ts";
import { aCall, aReply, ScriptedStreams, ScriptedUnary } from "./scripted.ts";

type Key = keyof typeof OrderServiceDefinition.methods;

/** What an update says of the orders service. */
export type OrderChanges = PolicyChanges<Readonly<Record<Key, (request: never) => unknown>>>;

/** What a contract of the orders service says. */
export interface OrderPolicies {
  readonly service?: ServicePolicy;
  readonly methods?: Readonly<Partial<Record<Key, MethodPolicy>>>;
}

/** The contract of the orders service, with these policies and no others. */
export function ordersContract({ service = {}, methods = {} }: OrderPolicies = {}): Contract {
  return contract({ definition: OrderServiceDefinition, cursors: {}, descriptors: () => "", service, methods });
}

/** A call, and what it comes to. */
export interface LiveCall {
  readonly controller: AbortController;
  /** The message, or what it ends with; undefined as long as it is under way. */
  readonly outcome: { value: unknown } | undefined;
}

/** A client of these policies whose attempts are in the test's hands, if it brings none, and which can be updated. */
export class LiveOrders {
  readonly clock = fakeClock();
  readonly events: ObserverEvent[] = [];
  readonly state: ClientState;
  /** The attempts of the methods with one response, in the order in which they were made. */
  readonly unary = new ScriptedUnary();
  readonly streams = new ScriptedStreams();
  /** The methods whose layers were put in force, beginning with all of them. */
  readonly installed: string[] = [];
  readonly #policies: LivePolicies;
  readonly #unary = new Map<string, UnaryHandler>();
  readonly #streams = new Map<string, StreamHandler>();

  constructor(policies: OrderPolicies = {}, attempt?: Attempt, observer?: Observer, options: PipelineOptions = {}) {
    const told = (event: ObserverEvent) => {
      this.events.push(event);
      observer?.(event);
    };
    this.state = aClientState({ clock: this.clock, observer: told });
    const said = ordersContract(policies);
    const { unary, stream } = attempt ?? { unary: this.unary.handler, stream: this.streams.handler };
    this.#policies = new LivePolicies(said, options, this.state);
    for (const [key, definition] of Object.entries(said.definition.methods)) {
      const method = toMethod(said.definition, definition);
      this.#policies.follow(key, method, (layers) => {
        this.installed.push(key);
        if (method.responseStream) this.#streams.set(key, composeStream(layers, { unary, stream }, method));
        else this.#unary.set(key, composeUnary(layers, { unary, stream }, method));
      });
    }
    this.installed.length = 0;
  }

  update(changes: OrderChanges = {}): void {
    this.#policies.update(changes);
  }

  /** Calls a method with one response. */
  call(key: Key = "getOrder", changes: Partial<Call> = {}, onEnd?: () => void): LiveCall {
    const controller = new AbortController();
    const call: { controller: AbortController; outcome: { value: unknown } | undefined } = {
      ...{ controller, outcome: undefined },
    };
    const settle = (value: unknown) => {
      call.outcome = { value };
      onEnd?.();
    };
    this.#unary
      .get(key)?.(this.#aCall(key, { signal: controller.signal, ...changes }))
      .then(({ message }) => settle(message), settle);
    return call;
  }

  /** Opens a stream; its attempt is made with the first `next()`. */
  open(key: Key = "listOrders", changes: Partial<Call> = {}): MessageStream {
    const stream = this.#streams.get(key)?.(this.#aCall(key, changes));
    if (!stream) throw new Error(`${key} has no stream`);
    return stream;
  }

  /** The oldest attempt under way is answered; then all that waits for it runs. */
  async reply(message: unknown = "order"): Promise<void> {
    this.unary.reply(aReply(message));
    await setImmediate();
  }

  /** The oldest attempt under way fails; then all that waits for it runs. */
  async fail(error: unknown): Promise<void> {
    this.unary.fail(error);
    await setImmediate();
  }

  #aCall(key: Key, changes: Partial<Call>): Call {
    const method = toMethod(OrderServiceDefinition, OrderServiceDefinition.methods[key]);
    const request = { orderId: "o-1" };
    return aCall({ method, request, startedAt: this.clock.now(), ...changes });
  }
}
