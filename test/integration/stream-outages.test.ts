import type { ObserverEvent } from "bowline";
import { createServer } from "bowline/server";
import { expect, onTestFinished, test } from "vitest";
import { freePort } from "../support/free-port.ts";
import { ordersHandlers } from "../support/handlers.ts";
import { rejection } from "../support/orders.ts";
import { PatientOrders } from "../support/patient-orders.ts";
import { logUpTo, streamWays } from "../support/resuming-orders.ts";
import { toldOf } from "../support/retrying.ts";

const [[, connect] = expect.unreachable("there is a way")] = streamWays;
const waiting = { waitForReady: true };
const heartbeat = { intervalMs: 50 };

/** Serves what is after a revision, up to the last one, and ends there. */
async function serveUpTo(last: bigint, port: number): Promise<void> {
  const server = createServer({ drainOn: [], validation: false, authenticate: false, idempotency: false });
  server.add(PatientOrders, ordersHandlers(logUpTo(last).given));
  onTestFinished(async () => void (await server.drain({ timeoutMs: 1 })));
  await server.listen(`127.0.0.1:${port}`);
}

/** A client of a server that is not there. */
async function ofNobody(wanted: Parameters<typeof connect>[1]) {
  const port = await freePort();
  const events: ObserverEvent[] = [];
  const observer = (event: ObserverEvent) => void events.push(event);
  const { orders } = connect(`127.0.0.1:${port}`, { observer, ...wanted });
  return { port, orders, events };
}

test("an opening that waits for a connection stalls where there are heartbeats, and counts as a failure", async () => {
  const { orders } = await ofNobody({ fromStart: true, heartbeat, maxFailures: 2 });
  const error = await rejection(orders.watchOrders({}, waiting).next());
  expect(error).toMatchObject({ reason: "STALLED", retryStop: "MAX_ATTEMPTS", attempts: 3 });
});

test("without a position it ends with the first stall, since nobody knows where it would have begun", async () => {
  const { orders } = await ofNobody({ heartbeat, maxFailures: 2 });
  const error = await rejection(orders.watchOrders({}, waiting).next());
  expect(error).toMatchObject({ reason: "CURSOR_UNKNOWN", failures: [{ reason: "STALLED" }] });
});

test("without heartbeats it waits until a server is there, and nothing of that counts as a failure", async () => {
  const { orders, port, events } = await ofNobody({ fromStart: true, maxFailures: 1 });
  const first = orders.watchOrders({}, waiting).next();
  await new Promise((wake) => setTimeout(wake, 200));
  await serveUpTo(1n, port);
  expect((await first).value?.revision).toBe(1n);
  expect(toldOf(events)).toEqual(["call.started", "attempt.started"]);
});

test("a stream that is not to be reopened fails at once where nobody listens", async () => {
  const { orders, events } = await ofNobody({ fromStart: true });
  const error = await rejection(orders.watchOrders({}, { retry: false }).next());
  expect(error).toMatchObject({ reason: "TRANSPORT", attempts: 1 });
  expect(toldOf(events)).toEqual(["call.started", "attempt.started", "attempt.ended", "call.ended"]);
});

test("one that does not wait for a connection counts each that is refused as a failure", async () => {
  const { orders, events } = await ofNobody({ fromStart: true, maxFailures: 1 });
  expect(await rejection(orders.watchOrders({}).next())).toMatchObject({ reason: "TRANSPORT", attempts: 2 });
  const told = expect.objectContaining({ because: "backoff", status: "UNAVAILABLE", failures: 1 });
  expect(toldOf(events)).toContainEqual(["resume", "scheduled", told]);
});
