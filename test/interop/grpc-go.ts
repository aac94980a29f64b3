import { join } from "node:path";
import type { Case, Transport } from "./cases.ts";
import { certificate, SERVER_NAME } from "./certificates.ts";
import { installOnce, runProgram, type ServerProcess, startServer } from "./programs.ts";

/** The version whose interoperability programs are executed; the one in go/go.mod. */
export const GRPC_GO = "v1.85.0";

/** What must be on the PATH to build them. */
export const GO = { name: "go", install: "Go 1.26 or later, from https://go.dev/dl" };

/** The programs of one role: grpc-go's own, and the one that speaks mTLS. */
export interface Programs {
  readonly official: string;
  readonly mutual: string;
}

/**
 * Builds grpc-go's own program, and the one of ours that runs grpc-go's cases or service over mTLS.
 *
 * @throws Error with what the compiler says, such as when the module proxy cannot be reached.
 */
export async function buildGrpcGo(role: "client" | "server"): Promise<Programs> {
  const folder = await installOnce(`grpc-go-${GRPC_GO}-${role}`, async (bin) => {
    const patient = { timeoutMs: 500_000 };
    const path = `google.golang.org/grpc/interop/${role}@${GRPC_GO}`;
    await runProgram("go", ["install", path], { ...patient, env: { GOBIN: bin } });
    const sources = join(import.meta.dirname, "go");
    await runProgram("go", ["build", "-o", join(bin, `mutual-${role}`), `./${role}`], { ...patient, cwd: sources });
  });
  return { official: join(folder, role), mutual: join(folder, `mutual-${role}`) };
}

const TLS_OF_CLIENT: Readonly<Record<Transport, readonly string[]>> = {
  plaintext: [],
  TLS: ["-use_tls", "-use_test_ca", "-ca_file", certificate("ca.pem"), "-server_host_override", SERVER_NAME],
  mTLS: [
    ...["-ca_file", certificate("ca.pem"), "-server_host_override", SERVER_NAME],
    ...["-tls_cert_file", certificate("client.pem"), "-tls_key_file", certificate("client.key")],
  ],
};

/** Cases that need a channel of another kind, by the service config that the suite gives to them. */
const WITH_LOAD = JSON.stringify({ loadBalancingConfig: [{ test_backend_metrics_load_balancer: {} }] });

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
  const channel = name.startsWith("orca_") ? ["-service_config_json", WITH_LOAD] : [];
  await runProgram(program, [...address, ...TLS_OF_CLIENT[transport], ...channel, ...more]);
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
