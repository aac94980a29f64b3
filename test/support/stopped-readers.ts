// A process that opens streams to a flood server, reads one message of each, and then no more until its parent leaves.
// Arguments: port, streams, size of a message, bytes that a stream may receive without being read.
import { createClient } from "bowline";
import { PatientOrders } from "./patient-orders.ts";

const [port = 0, streams = 0, limit = 0, window = 0] = process.argv.slice(2).map(Number);
const channelOptions = { "grpc-node.flow_control_window": window };
const orders = createClient(PatientOrders, `127.0.0.1:${port}`, { channelOptions });
const opened = Array.from({ length: streams }, () => orders.listOrders({ limit }, { timeoutMs: 3_600_000 }));
await Promise.all(opened.map((stream) => stream.next()));
process.send?.("reading no more");
process.on("disconnect", () => process.exit(opened.length > 0 ? 0 : 1));
