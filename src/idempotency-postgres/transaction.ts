import type { ClientBase } from "pg";

/** Those in a transaction that was begun here: what a client itself says of it is not true until BEGIN is answered. */
const busy = new WeakSet<ClientBase>();

/**
 * Does all of the work or, if it throws or comes to false, none of it.
 *
 * @throws what the work throws; Error if the client is in a transaction already, which would be ended or joined here,
 *   and if the database has rolled the transaction back.
 */
export async function inTransaction(client: ClientBase, work: () => Promise<boolean>): Promise<boolean> {
  refuseNesting(client);
  busy.add(client);
  try {
    return await begun(client, work);
  } finally {
    busy.delete(client);
  }
}

async function begun(client: ClientBase, work: () => Promise<boolean>): Promise<boolean> {
  await client.query("BEGIN");
  try {
    const kept = await work();
    await end(client, kept);
    return kept;
  } catch (error) {
    // On a connection that has broken, the server rolls back by itself.
    await client.query("ROLLBACK").catch(() => {});
    throw error;
  }
}

/** After a statement that failed, whose error the work caught, PostgreSQL answers COMMIT by rolling back. */
async function end(client: ClientBase, kept: boolean): Promise<void> {
  const { command } = await client.query(kept ? "COMMIT" : "ROLLBACK");
  if (kept && command !== "COMMIT") {
    throw new Error("postgresIdempotency: the transaction was rolled back, because a statement in it had failed");
  }
}

/** Older versions of pg do not say. */
function refuseNesting(client: ClientBase): void {
  const { getTransactionStatus } = client as { getTransactionStatus?: () => string | null };
  const free = !busy.has(client) && (getTransactionStatus?.call(client) ?? "I") === "I";
  if (!free) throw new Error("postgresIdempotency: the client is in a transaction already");
}
