import { bearer, type Credentials, createClient, RpcError, Status } from "bowline";
import { tokenIssuer } from "bowline/auth-jwt";
import { OrderService, type OrderServiceClient } from "../../../gen/shop/orders/v1/orders.contract.ts";
import { UserService } from "../../../gen/shop/users/v1/users.contract.ts";
import { ISSUER, ShopIdentity } from "../identity.ts";
import { NOTHING } from "./instruments.ts";
import { type Check, type Row, same } from "./row.ts";
import { Tally } from "./tally.ts";

/** Of each kind of caller. */
const CALLS = 20;

/** What the row saw, from both sides. */
export interface Seen {
  /** Callers without a token, and with one that somebody else has signed: calls that ended with UNAUTHENTICATED. */
  readonly withoutToken: number;
  readonly withForged: number;
  /** The same of a method that the service does not have. */
  readonly ofUnknownMethod: number;
  /** What all of these were told, each text once. */
  readonly texts: readonly string[];
  /** A caller who may read: orders read, and orders that it was not allowed to place. */
  readonly read: number;
  readonly denied: number;
  /** Orders that handlers have read and placed, as the service counted them. */
  readonly served: number;
  readonly placed: number;
}

/** Whoever has no token, or not the right one, is told so before a handler runs, and learns nothing else. */
export const strangers: Row = {
  name: "callers without a token",
  async run(shop) {
    const orders = await shop.startReplica("orders", { SHOP_AUTH: "1" });
    const tally = new Tally();
    const texts = new Set<string>();
    const identity = await ShopIdentity.open(shop.settings);
    const forger = tokenIssuer({ issuer: ISSUER });
    const forged = bearer(
      async () => (await forger.sign({ subject: "eve", audience: "orders", scopes: SCOPES })).token,
    );
    const count = async (call: (orders: OrderServiceClient) => Promise<unknown>, credentials?: Credentials) => {
      const options = { observer: tally.observer, ...(credentials && { credentials }) };
      using client = createClient(OrderService, orders.target, options);
      return await refusals(() => call(client), texts);
    };
    const read = (client: OrderServiceClient) => client.getOrder({ orderId: "o-1" });
    const withoutToken = await count(read);
    const withForged = await count(read, forged);
    using users = createClient(UserService, orders.target, { observer: tally.observer });
    const ofUnknownMethod = await refusals(() => users.getUser({ userId: "u-1" }), texts);
    const reader = identity.credentials("ann", "orders", ["orders.read"]);
    await count(read, reader);
    await count((client) => client.createOrder({ customerId: "c-1", items: [{ sku: "s-1", quantity: 1 }] }), reader);
    const counts = await orders.counts();
    await orders.stop();
    const seen: Seen = {
      ...{ withoutToken, withForged, ofUnknownMethod, texts: [...texts] },
      read: tally.count("OK"),
      denied: tally.count("PERMISSION_DENIED"),
      served: (counts.GetOrder ?? NOTHING).answered,
      placed: (counts.CreateOrder ?? NOTHING).answered,
    };
    return {
      calls: tally.calls,
      attempts: tally.attempts,
      outcome: String(tally),
      durationsMs: tally.durationsMs,
      policy: `${withoutToken + withForged + ofUnknownMethod} calls without a token, with a forged one and of no method were told the same; ${seen.denied} without the scope were denied`,
      late: tally.count("DEADLINE_EXCEEDED"),
      checks: judge(seen),
    };
  },
};

const SCOPES = ["orders.read", "orders.write"];

/** Calls so often; returns how many ended with UNAUTHENTICATED, and notes what they were told. */
async function refusals(call: () => Promise<unknown>, texts: Set<string>): Promise<number> {
  let refused = 0;
  for (let made = 0; made < CALLS; made++) {
    const error = await call().then(
      () => undefined,
      (error) => RpcError.from(error),
    );
    if (error?.code !== Status.UNAUTHENTICATED) continue;
    refused++;
    texts.add(error.details);
  }
  return refused;
}

/** What must have been seen. */
export function judge(seen: Seen): Check[] {
  return [
    same("calls without a token that ended with UNAUTHENTICATED", seen.withoutToken, CALLS),
    same("calls with a forged token that ended with UNAUTHENTICATED", seen.withForged, CALLS),
    same("calls of no method that ended with UNAUTHENTICATED", seen.ofUnknownMethod, CALLS),
    same("texts that these were told", seen.texts.length, 1),
    same("calls of one who may read that were answered", seen.read, CALLS),
    same("its calls to write that ended with PERMISSION_DENIED", seen.denied, CALLS),
    same("orders that a handler has read", seen.served, CALLS),
    same("orders that a handler has placed", seen.placed, 0),
  ];
}
