import { DatabaseSync } from "node:sqlite";
import { sqliteIdempotency } from "bowline/idempotency-sqlite";
import { fakeClock } from "bowline/testing";
import { Metadata } from "nice-grpc-common";
import { expect, onTestFinished, test } from "vitest";
import type { ServedContext, ServeUnary } from "../../../src/core/served-call.ts";
import { idempotencyLayer } from "../../../src/server/layers/idempotency.ts";
import { gate } from "../../support/orders.ts";
import { aMethod } from "../../support/scripted.ts";

const method = aMethod();
const [LEASE_MS, TTL_MS] = [300, 50];

/** The layer around a handler, on a store in SQLite whose clock is the test's. */
function setUp(handler: (database: DatabaseSync, ...served: Parameters<ServeUnary>) => Promise<unknown>) {
  const clock = fakeClock();
  const database = new DatabaseSync(":memory:");
  onTestFinished(() => database.close());
  const store = sqliteIdempotency(database, { clock });
  const errors: unknown[] = [];
  const keyed = { store, leaseMs: LEASE_MS, encoded: false, clock, observer: undefined };
  const layer = idempotencyLayer(
    { ...keyed, onError: (error) => void errors.push(error) },
    new Map([[method.path, TTL_MS]]),
  );
  const serve = layer.unary((...served) => handler(database, ...served), method);
  const call = (key = "k") =>
    serve("request", {
      ...{ method, header: new Metadata(), metadata: new Metadata({ "idempotency-key": key }) },
      ...{ signal: new AbortController().signal, identity: { key: "peer:a", source: "peer" } },
      ...{ remainingMs: () => Number.POSITIVE_INFINITY, outlasts: () => {} },
    } as unknown as ServedContext);
  return { clock, call, errors };
}

test("what was committed is not lost to a handler that goes on for longer than its answer is kept", async () => {
  const [end, lost] = [gate(), [] as unknown[]];
  const { clock, call, errors } = setUp(async (database, _, { idempotency, metadata, signal }) => {
    if (metadata.get("idempotency-key") === "other") return "other";
    const answer = await idempotency.commit(database, () => "committed");
    signal.addEventListener("abort", () => lost.push(signal.reason));
    await end.promise;
    return answer;
  });
  const answer = call();
  await clock.advance(TTL_MS + 1);
  // Takes away what has expired.
  expect(await call("other")).toBe("other");
  await clock.advance(LEASE_MS);
  end.resolve();
  expect(await answer).toBe("committed");
  expect([lost, errors, clock.pending]).toEqual([[], [], 0]);
});
