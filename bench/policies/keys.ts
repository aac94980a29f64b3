import { memoryIdempotency } from "bowline/server";
import { OrderService } from "../../gen/shop/orders/v1/orders.contract.ts";
import { Order } from "../../gen/shop/orders/v1/orders.ts";
import { toMethod } from "../../src/contract/definition.ts";
import { systemClock } from "../../src/core/clock.ts";
import { IDEMPOTENCY_KEY, NO_IDEMPOTENCY } from "../../src/core/idempotency.ts";
import { peerIdentity } from "../../src/core/identity.ts";
import { systemRandom } from "../../src/core/random.ts";
import type { ServedContext } from "../../src/core/served-call.ts";
import { idempotencyLayer } from "../../src/server/layers/idempotency.ts";
import { Metadata } from "../../src/transport/index.ts";
import { layersOf } from "./get-order.ts";
import type { Subject } from "./subject.ts";
import { through, untimed } from "./through.ts";

const method = toMethod(OrderService.definition, OrderService.definition.methods.createOrder);
const request = { customerId: "u-7", items: [{ sku: "cleat", quantity: 2, unitPriceCents: 1_275n }] };
const order = Order.fromPartial({ ...request, orderId: "o-1", totalCents: 2_550n });

/** What all calls have in common that are served. */
const context = {
  method,
  peer: "127.0.0.1:50051",
  signal: new AbortController().signal,
  deadline: undefined,
  deadlineAt: Number.POSITIVE_INFINITY,
  remainingMs: () => Number.POSITIVE_INFINITY,
  identity: peerIdentity("127.0.0.1:50051"),
  certificate: undefined,
  criticality: undefined,
  idempotency: NO_IDEMPOTENCY,
  header: new Metadata(),
  trailer: new Metadata(),
  sendHeader: () => {},
  pin: () => {},
  onEnd: () => {},
  outlasts: () => {},
};

let last = 0;

function another(): string {
  last += 1;
  return `o-${last}`;
}

/** Idempotency keys: what a client adds, and what a server does with each that is new, and with one that is not. */
export function keys(): readonly Subject[] {
  const { idempotencyKey } = layersOf({ idempotencyKey: {} }, systemClock, systemRandom);
  return [
    through("idempotency key by itself", idempotencyKey ? { idempotencyKey } : {}, untimed),
    served("… at the server, kept in memory: a first call", another),
    served("… a repetition", () => "o-0"),
  ];
}

/** What a call costs its server, with metadata of its own, in which the key is. */
function served(title: string, key: () => string): Subject {
  const store = memoryIdempotency();
  const keyed = { store, leaseMs: 10_000, encoded: true, clock: systemClock, observer: undefined, onError: () => {} };
  const layer = idempotencyLayer(keyed, new Map([[method.path, 86_400_000]]));
  const serve = layer.unary(work, method);
  return {
    title,
    call: () => {
      const metadata = new Metadata({ [IDEMPOTENCY_KEY]: key() });
      return serve(request, { ...context, metadata } satisfies ServedContext);
    },
  };
}

async function work(): Promise<Order> {
  await undefined;
  return order;
}
