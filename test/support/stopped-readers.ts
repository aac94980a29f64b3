// A process that opens streams to a flood server once its parent says on which port, reads one message of each, and then
// no more until its parent leaves. Arguments: method, streams, size of a message, bytes that a stream may receive without
// being read.
import { once } from "node:events";
import { createClient } from "bowline";
import {
  OrderService,
  type OrderServiceClient,
  type OrderServiceHandlers,
} from "../../gen/shop/orders/v1/orders.contract.ts";
import { contract } from "../../src/contract/contract.ts";

/** Without a deadline: a thousand streams take their time. */
const Unhurried = contract<typeof OrderService.definition, OrderServiceClient, OrderServiceHandlers>({
  ...OrderService,
  service: {},
  methods: {},
});
const [method, ...numbers] = process.argv.slice(2);
const [streams = 0, limit = 0, window = 0] = numbers.map(Number);
const [port] = await once(process, "message");
const channelOptions = { "grpc-node.flow_control_window": window };
const orders = createClient(Unhurried, `127.0.0.1:${port}`, { channelOptions });
const open = () => (method === "watchOrders" ? orders.watchOrders({}) : orders.listOrders({ limit }));
const opened = Array.from({ length: streams }, open);
await Promise.all(opened.map((stream) => stream.next()));
process.send?.("reading no more");
process.on("disconnect", () => process.exit(opened.length > 0 ? 0 : 1));
