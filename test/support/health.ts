import { closeClient, createClient } from "bowline";
import type { HealthCheckOptions, ServerOptions } from "bowline/server";
import { onTestFinished } from "vitest";
import { Health } from "../../gen/health/v1/health.contract.ts";
import { serveOrders } from "./orders.ts";

/** The numbers of gRPC's health protocol. */
export const [SERVING, NOT_SERVING] = [1, 2];
/** A check that runs often enough for a test. */
export const quick: HealthCheckOptions = { intervalMs: 20, timeoutMs: 1_000 };

/** Asks a server's health service until the test is over. */
export function connectHealth(port: number) {
  const health = createClient(Health, `127.0.0.1:${port}`);
  onTestFinished(() => closeClient(health));
  return health;
}

/** Serves orders, and what a test says of a dependency. */
export async function serveChecked(check: HealthCheckOptions = quick, options: ServerOptions = {}) {
  const dependency = { error: undefined as Error | undefined };
  const { server, port } = await serveOrders({}, options);
  server.health.check(
    "database",
    async () => {
      if (dependency.error) throw dependency.error;
    },
    check,
  );
  return { server, port, dependency };
}
