import { RpcError, type RpcErrorInit } from "./errors.ts";

/** What a call ends with whose client is closed; of one that was sent, `said` says so. */
export function clientClosed(path: string, said: Partial<RpcErrorInit> = {}): RpcError {
  return new RpcError({ path, reason: "CLIENT_CLOSED", details: "the client is closed", attempts: 0, ...said });
}
