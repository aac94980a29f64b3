import { RpcError } from "bowline";
import { Order, OrderStatus } from "../../gen/shop/orders/v1/orders.ts";
import { ClientState } from "../../src/client/client-state.ts";
import { batchLayer } from "../../src/client/layers/batch.ts";
import { fallbackLayer } from "../../src/client/layers/fallback.ts";
import type { GatheredCalls } from "../../src/client/layers/gathered-calls.ts";
import type { Layers, Place } from "../../src/client/pipeline.ts";
import type { MethodPolicy } from "../../src/contract/policy.ts";
import type { Reply, UnaryHandler } from "../../src/core/call.ts";
import { systemClock } from "../../src/core/clock.ts";
import { systemRandom } from "../../src/core/random.ts";
import { Batching } from "../../src/policy/batching.ts";
import { layersOf, method } from "./get-order.ts";
import { reply, type Subject } from "./subject.ts";
import { through, untimed } from "./through.ts";

/** An order with one item: what is kept, copied and gathered. */
const order = Order.fromPartial({
  ...{ orderId: "o-1", customerId: "u-7", status: OrderStatus.ORDER_STATUS_PAID, totalCents: 2_550n },
  items: [{ sku: "cleat", quantity: 2, unitPriceCents: 1_275n }],
  createTime: new Date(1_735_689_600_000),
});

const answer: Reply = { ...reply, message: order };

let asked = 0;

/** Each call for another order, so that nothing is shared. */
function another(): object {
  asked += 1;
  return { orderId: `o-${asked}` };
}

async function answered(): Promise<Reply> {
  await undefined;
  return answer;
}

/** Answers a batch with an order for each of its requests. */
const answeredAll: UnaryHandler = async ({ request }) => {
  await undefined;
  const { requests } = request as { readonly requests: readonly unknown[] };
  return { ...reply, message: { responses: requests.map(() => order) } };
};

const outage = new RpcError({ path: method.path, reason: "BREAKER_OPEN", details: "open", attempts: 0 });

async function failed(): Promise<Reply> {
  await undefined;
  throw outage;
}

/** The layers by which calls share answers, each by itself. @param inFlight how many calls are under way at a time. */
export function sharing(inFlight: number): readonly Subject[] {
  const [coalesce, cache] = [only("coalesce", { coalesce: {} }), only("cache", { cache: { ttlMs: 600_000 } })];
  return [
    through("coalescing by itself, nobody asks for the same", coalesce, answered, another),
    through("… where all that are in flight ask for the same", coalesce, answered),
    through("cache by itself, a hit", cache, answered),
    through("… a miss, which is kept", cache, answered, another),
    through(`batching by itself, ${inFlight} in a batch`, { batch: batching(inFlight) }, untimed),
    through("fallback by itself, not needed", fallback(), answered),
    through("… where it answers", fallback(), failed),
  ];
}

function only(place: Place, policy: MethodPolicy): Layers {
  const layer = layersOf(policy, systemClock, systemRandom)[place];
  return layer ? { [place]: layer } : {};
}

function batching(maxSize: number) {
  const surroundings = { clock: systemClock, random: systemRandom, observer: undefined, target: undefined };
  return batchLayer({
    batching: new Batching<GatheredCalls>({ maxSize }),
    access: { method: "batchGetOrders", requestsField: "requests", responsesField: "responses" },
    target: method,
    share: new ClientState(surroundings).retryShare,
    maxWaitMs: 1,
    clock: systemClock,
    closed: new AbortController().signal,
    report: undefined,
    many: () => answeredAll,
  });
}

function fallback(): Layers {
  return { fallback: fallbackLayer({ fallback: () => order, report: undefined }) };
}
