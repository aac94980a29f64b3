// Reads what happened to orders after a revision, to the end, and tells its parent the revisions. Arguments: target,
// revision.
import { closeClient, createClient } from "bowline";
import { OrderService } from "../../gen/shop/orders/v1/orders.contract.ts";

const [target = "", revision = ""] = process.argv.slice(2);
const orders = createClient(OrderService, target);
const events = await Array.fromAsync(orders.watchOrders({ afterRevision: BigInt(revision) }));
process.send?.(events.map(({ revision }) => String(revision)));
closeClient(orders);
