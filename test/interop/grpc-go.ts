import { join } from "node:path";
import type { Case, Transport } from "./cases.ts";
import { certificate, SERVER_NAME } from "./certificates.ts";
import { installOnce, runProgram, type ServerProcess, startServer } from "./programs.ts";
import { VERSIONS } from "./versions.ts";

/** What must be on the PATH to build them. */
export const GO = { name: "go", install: "Go 1.26 or later, from https://go.dev/dl" };

/** The programs of one role. */
export interface Programs {
  /** grpc-go's own. */
  readonly official: string;
  /** What runs grpc-go's cases or service over mTLS. */
  readonly mutual: string;
}

/** Building downloads grpc-go the first time. */
const TIMEOUT_MS = 900_000;

/**
 * Builds the programs of a role.
 *
 * @throws Error with what the compiler says, such as when the module proxy cannot be reached.
 */
export async function buildGrpcGo(role: "client" | "server"): Promise<Programs> {
  const version = VERSIONS["grpc-go"];
  const pins = ["go/go.mod", "go/go.sum"];
  const official = await installOnce(`grpc-go-${version}-${role}`, pins, async (GOBIN) => {
    const path = `google.golang.org/grpc/interop/${role}@v${version}`;
    await runProgram("go", ["install", path], { timeoutMs: TIMEOUT_MS, env: { GOBIN } });
  });
  const mutual = await installOnce(`grpc-go-${version}-mutual-${role}`, [...pins, `go/${role}`], async (folder) => {
    const cwd = join(import.meta.dirname, "go");
    await runProgram("go", ["build", "-o", join(folder, role), `./${role}`], { timeoutMs: TIMEOUT_MS, cwd });
  });
  return { official: join(official, role), mutual: join(mutual, role) };
}

const TLS_OF_CLIENT: Readonly<Record<Transport, readonly string[]>> = {
  plaintext: [],
  TLS: ["-use_tls", "-use_test_ca", "-ca_file", certificate("ca.pem"), "-server_host_override", SERVER_NAME],
  mTLS: [
    ...["-ca_file", certificate("ca.pem"), "-server_host_override", SERVER_NAME],
    ...["-tls_cert_file", certificate("client.pem"), "-tls_key_file", certificate("client.key")],
  ],
};

/** The channel on which grpc-go looks at load reports. */
const WITH_LOAD = JSON.stringify({ loadBalancingConfig: [{ test_backend_metrics_load_balancer: {} }] });

/** A soak's calls may take as long as they like: how fast they are is the machine's. */
const PATIENT = ["-soak_per_iteration_max_acceptable_latency_ms", "20000", "-soak_overall_timeout_seconds", "50"];

function flagsOf(name: Case): readonly string[] {
  if (name.startsWith("orca_")) return ["-service_config_json", WITH_LOAD];
  return name.endsWith("_soak") ? PATIENT : [];
}

/** Which program speaks a transport. */
export function programFor({ official, mutual }: Programs, transport: Transport): string {
  return transport === "mTLS" ? mutual : official;
}

/** Has grpc-go's client execute a case. It ends the moment that anything is not as the case wants it. */
export async function runClient(
  program: string,
  name: Case,
  transport: Transport,
  port: number,
  more: readonly string[] = [],
): Promise<void> {
  const address = ["-server_host", "127.0.0.1", "-server_port", String(port), "-test_case", name];
  await runProgram(program, [...address, ...TLS_OF_CLIENT[transport], ...flagsOf(name), ...more]);
}

const TLS_OF_SERVER: Readonly<Record<Transport, readonly string[]>> = {
  plaintext: [],
  TLS: ["-use_tls", "-tls_cert_file", certificate("server.pem"), "-tls_key_file", certificate("server.key")],
  mTLS: [
    ...["-tls_cert_file", certificate("server.pem"), "-tls_key_file", certificate("server.key")],
    ...["-ca_file", certificate("ca.pem")],
  ],
};

/** Starts grpc-go's server. */
export function serveGrpcGo(program: string, transport: Transport, port: number): Promise<ServerProcess> {
  return startServer(program, ["-port", String(port), ...TLS_OF_SERVER[transport]], port);
}
