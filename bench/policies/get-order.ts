import { OrderService } from "../../gen/shop/orders/v1/orders.contract.ts";
import { ClientState } from "../../src/client/client-state.ts";
import { composeUnary, type Layers } from "../../src/client/pipeline.ts";
import { methodLayers } from "../../src/client/policy-layers/method-layers.ts";
import { contract } from "../../src/contract/contract.ts";
import { toMethod } from "../../src/contract/definition.ts";
import type { MethodPolicy, ServicePolicy } from "../../src/contract/policy.ts";
import type { UnaryHandler } from "../../src/core/call.ts";
import type { Clock } from "../../src/core/clock.ts";
import type { Method } from "../../src/core/method.ts";
import type { Observer } from "../../src/core/observer.ts";
import type { Random } from "../../src/core/random.ts";

/** The method that is called: safe to repeat. */
export const method: Method = toMethod(OrderService.definition, OrderService.definition.methods.getOrder);

/** The layers that a client of its own has by this policy. */
export function layersOf(
  policy: MethodPolicy,
  clock: Clock,
  random: Random,
  observer?: Observer,
  service: ServicePolicy = {},
): Layers {
  const Orders = contract({ ...OrderService, service, methods: { getOrder: policy } });
  const state = new ClientState({ clock, random, observer, target: undefined });
  return methodLayers(Orders, "getOrder", method, {}, state);
}

/** Layers around attempts. */
export function composed(layers: Layers, unary: UnaryHandler): UnaryHandler {
  const stream = () => {
    throw new Error("no streams here");
  };
  return composeUnary(layers, { unary, stream }, method);
}
