import { CALL_CASES } from "./call-cases.ts";
import type { Case } from "./cases.ts";
import { COMPRESSION_CASES } from "./compression-cases.ts";
import { CREDENTIAL_CASES } from "./credential-cases.ts";
import { LOAD_CASES } from "./load-cases.ts";
import type { SuiteClient } from "./suite-client.ts";

const CLIENT_CASES = { ...CALL_CASES, ...COMPRESSION_CASES, ...CREDENTIAL_CASES, ...LOAD_CASES };

/** Executes a case with Bowline's client; rejects if anything is not as the case wants it, or there is no such case. */
export async function executeCase(name: Case, client: SuiteClient): Promise<void> {
  const execute = CLIENT_CASES[name];
  if (!execute) throw new Error(`Bowline's client has no case ${name}`);
  await execute(client);
}
