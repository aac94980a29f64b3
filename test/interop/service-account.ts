import { generateKeyPairSync, randomUUID, verify } from "node:crypto";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fail } from "bowline";
import type { CallContext } from "bowline/runtime/v1";

/** The scope that the cases ask for. */
export const SCOPE = "interop.read";

/**
 * A service account as clouds have them: a key file, an endpoint on loopback that gives access tokens for it, and the
 * server's side of it, which says whose token came.
 */
export class ServiceAccount {
  readonly email = "interop@bowline.test";
  readonly keyFile: string;
  readonly #keys = generateKeyPairSync("rsa", { modulusLength: 2_048 });
  readonly #folder = mkdtempSync(join(tmpdir(), "bowline-account-"));
  readonly #tokens = new Set<string>();
  readonly #endpoint: Server;

  private constructor(endpoint: Server) {
    this.#endpoint = endpoint;
    this.keyFile = join(this.#folder, "key.json");
  }

  static async create(): Promise<ServiceAccount> {
    const endpoint = createServer();
    await new Promise<void>((resolve) => endpoint.listen(0, "127.0.0.1", resolve));
    const account = new ServiceAccount(endpoint);
    endpoint.on("request", (_, response) => {
      response.setHeader("content-type", "application/json");
      response.end(JSON.stringify({ access_token: account.issue(), token_type: "Bearer", expires_in: 3_600 }));
    });
    account.#writeKeyFile((endpoint.address() as AddressInfo).port);
    return account;
  }

  /** An access token of the account. */
  issue(): string {
    const token = randomUUID();
    this.#tokens.add(token);
    return token;
  }

  /** Whose token a call carries; refuses the call if it is nobody's. */
  authenticate(context: CallContext): string {
    const [scheme, token = ""] = (context.metadata.get("authorization") ?? "").split(" ");
    if (scheme?.toLowerCase() !== "bearer") fail("UNAUTHENTICATED", "the call carries no bearer token");
    if (this.#tokens.has(token) || this.#signed(token)) return this.email;
    return fail("UNAUTHENTICATED", "the token is nobody's");
  }

  close(): void {
    this.#endpoint.closeAllConnections();
    this.#endpoint.close();
    rmSync(this.#folder, { recursive: true, force: true });
  }

  #writeKeyFile(port: number): void {
    const key = {
      type: "service_account",
      client_email: this.email,
      private_key_id: "1",
      private_key: this.#keys.privateKey.export({ type: "pkcs8", format: "pem" }),
      token_uri: `http://127.0.0.1:${port}/token`,
    };
    writeFileSync(this.keyFile, JSON.stringify(key), { mode: 0o600 });
  }

  /** Whether the account signed a token itself (RFC 7515), for whoever serves. */
  #signed(token: string): boolean {
    const [head = "", body = "", signature = ""] = token.split(".");
    const bytes = Buffer.from(`${head}.${body}`);
    const isRs256 = JSON.parse(Buffer.from(head, "base64url").toString() || "{}").alg === "RS256";
    return isRs256 && verify("sha256", bytes, this.#keys.publicKey, Buffer.from(signature, "base64url"));
  }
}
