/** The statements of a store, for its table. Times are the database server's: one clock for all who share it. */
export interface Statements {
  readonly schema: string;
  readonly claim: string;
  readonly look: string;
  readonly renew: string;
  readonly complete: string;
  /** The same within the handler's transaction: once. */
  readonly commit: string;
  readonly release: string;
  readonly purge: string;
}

/** How many rows that have expired go at a time. */
const PURGED = 500;

// Not now(), which stands still in a transaction, and not before a lock was waited for.
const NOW = "clock_timestamp()";
const after = (parameter: string) => `${NOW} + (${parameter})::float8 * interval '1 millisecond'`;
const ID = "identity = $1 AND method = $2 AND key = $3";
/** The claim is still its owner's. */
const OWNED = `${ID} AND token = $4 AND fingerprint IS NOT NULL`;
/** Microseconds since 1970: greater than any before, also where the row before was deleted. */
const TOKEN = `(extract(epoch FROM ${NOW}) * 1000000)::bigint`;

/** The statements for a table; its name is part of them. */
export function statementsFor(table: string): Statements {
  const index = `${table.replace(/^.*\./, "")}_expiry`;
  return {
    schema: `
CREATE TABLE IF NOT EXISTS ${table} (
  identity text NOT NULL,
  method text NOT NULL,
  key text NOT NULL,
  fingerprint text, -- of the request; NULL where the claim was released
  token bigint NOT NULL,
  lease_ends_at timestamptz NOT NULL,
  expires_at timestamptz NOT NULL,
  taken_over boolean NOT NULL,
  answer bytea,
  PRIMARY KEY (identity, method, key)
);
CREATE INDEX IF NOT EXISTS ${index} ON ${table} (expires_at);
`,
    // One statement, so that of two who claim at a time one waits for the other's row and sees what became of it.
    claim: `
INSERT INTO ${table} AS held (identity, method, key, fingerprint, token, lease_ends_at, expires_at, taken_over)
VALUES ($1, $2, $3, $4, ${TOKEN}, ${after("$5")}, ${after("$5::float8 + $6")}, false)
ON CONFLICT (identity, method, key) DO UPDATE SET
  fingerprint = excluded.fingerprint,
  token = greatest(held.token + 1, ${TOKEN}),
  lease_ends_at = ${after("$5")},
  expires_at = ${after("$5::float8 + $6")},
  taken_over = held.fingerprint IS NOT NULL AND held.expires_at > ${NOW},
  answer = NULL
WHERE held.fingerprint IS NULL
  OR held.expires_at <= ${NOW}
  OR (held.fingerprint = excluded.fingerprint AND held.answer IS NULL AND held.lease_ends_at <= ${NOW})
RETURNING token, taken_over`,
    look: `
SELECT fingerprint, answer, extract(epoch FROM lease_ends_at - ${NOW})::float8 * 1000 AS lease_ms
FROM ${table} WHERE ${ID} AND fingerprint IS NOT NULL AND expires_at > ${NOW}`,
    renew: `
UPDATE ${table} SET
  lease_ends_at = CASE WHEN answer IS NULL THEN ${after("$5")} ELSE lease_ends_at END,
  expires_at = CASE WHEN answer IS NULL THEN ${after("$5::float8 + $6")} ELSE expires_at END
WHERE ${OWNED}`,
    complete: `
UPDATE ${table} SET
  expires_at = CASE WHEN answer IS NULL THEN ${after("$5")} ELSE expires_at END,
  answer = coalesce(answer, $6)
WHERE ${OWNED}`,
    commit: `
UPDATE ${table} SET expires_at = ${after("$5")}, answer = $6
WHERE ${OWNED} AND answer IS NULL`,
    release: `
UPDATE ${table} SET fingerprint = NULL, expires_at = lease_ends_at
WHERE ${OWNED} AND answer IS NULL`,
    purge: `
DELETE FROM ${table} WHERE ctid IN (
  SELECT ctid FROM ${table} WHERE expires_at <= ${NOW} LIMIT ${PURGED} FOR UPDATE SKIP LOCKED
)`,
  };
}
