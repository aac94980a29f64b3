import { once } from "node:events";
import { type AddressInfo, connect, createServer as createTcpServer, type Socket } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { postgresIdempotency, postgresIdempotencySchema } from "bowline/idempotency-postgres";
import pg from "pg";
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from "vitest";
import { type DatabaseServer, hasPostgres, postgresAt, startPostgres } from "../support/database-servers.ts";
import { keyedClients, servers } from "../support/keyed-orders.ts";
import { gate } from "../support/orders.ts";

const LEASE_MS = 900;

/** Carries connections to a port; those that are open can be made to lead nowhere, as where a machine vanishes. */
async function openTunnel(port: number) {
  const sockets = new Set<Socket>();
  const tunnel = createTcpServer((near) => {
    const far = connect(port, "127.0.0.1");
    for (const socket of [near, far]) sockets.add(socket.on("error", () => {}));
    near.pipe(far).pipe(near);
  });
  tunnel.listen(0, "127.0.0.1");
  await once(tunnel, "listening");
  onTestFinished(() => {
    for (const socket of sockets) socket.destroy();
    tunnel.close();
  });
  const silence = () => {
    for (const socket of sockets) socket.unpipe().pause();
  };
  return { port: (tunnel.address() as AddressInfo).port, silence };
}

describe.skipIf(!hasPostgres())("PostgreSQL", () => {
  let server: DatabaseServer;

  beforeAll(async () => {
    server = await startPostgres();
  });
  afterAll(() => server?.stop());

  test("whose connection comes to lead nowhere in the middle of a handler: another renews its claim, and keeps its answer", async () => {
    const tunnel = await openTunnel(server.port);
    const [near, direct] = [tunnel.port, server.port].map((port) => new pg.Pool({ ...postgresAt(port), max: 8 }));
    if (!near || !direct) return expect.unreachable();
    for (const pool of [near, direct]) pool.on("error", () => {});
    onTestFinished(() => direct.end());
    await direct.query(postgresIdempotencySchema());
    const [began, end] = [gate(), gate()];
    const errors: unknown[] = [];
    const runs: string[] = [];
    const serve = (name: string, pool: pg.Pool) =>
      servers.createServer(
        async () => {
          runs.push(name);
          began.resolve();
          await end.promise;
          return { orderId: name };
        },
        { store: postgresIdempotency(pool), leaseMs: LEASE_MS },
        { onError: (error) => void errors.push(error) },
      );
    const [first, second] = [await serve("first", near), await serve("second", direct)];
    const order = (port: number) => keyedClients.createClient(port).createOrder({}, { idempotencyKey: "k" });
    const answers = [order(first)];
    await began.promise;
    tunnel.silence();
    answers.push(order(second));
    await sleep(4 * LEASE_MS);
    end.resolve();
    expect(await Promise.all(answers)).toMatchObject([{ orderId: "first" }, { orderId: "first" }]);
    expect(runs).toEqual(["first"]);
    expect(errors).toEqual(
      expect.arrayContaining([expect.objectContaining({ message: expect.stringContaining("has not answered for") })]),
    );
  });
});
