import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import type { ClientOptions } from "bowline";
import type { ListenOptions } from "bowline/server";
import type { Transport } from "./cases.ts";

/** Where a certificate or a key of the TLS tests is. */
export function certificate(name: string): string {
  return fileURLToPath(new URL(`../fixtures/tls/${name}`, import.meta.url));
}

/** The name in the server's certificate that clients of other implementations are told to expect. */
export const SERVER_NAME = "orders.test";

const pem = (name: string) => readFileSync(certificate(name));

/** How our server listens. */
export function listenOptions(transport: Transport): ListenOptions {
  if (transport === "plaintext") return {};
  const tls = { cert: pem("server.pem"), key: pem("server.key") };
  return { tls: transport === "TLS" ? tls : { ...tls, ca: pem("ca.pem") } };
}

/** How our client connects. */
export function clientOptions(transport: Transport): ClientOptions {
  if (transport === "plaintext") return {};
  const tls = { ca: pem("ca.pem"), serverName: SERVER_NAME };
  return { tls: transport === "TLS" ? tls : { ...tls, cert: pem("client.pem"), key: pem("client.key") } };
}
