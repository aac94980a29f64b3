import { generateKeyPairSync, randomUUID } from "node:crypto";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { jwt } from "bowline/auth-jwt";
import type { Authentication, Authenticator, UnidentifiedCall } from "bowline/server";

/** The scope that the cases ask for. */
export const SCOPE = "interop.read";

/**
 * A service account as clouds have them: a key file, an endpoint on loopback that gives access tokens for it, and the
 * server's side of it, which says whose token came.
 */
export class ServiceAccount implements Disposable {
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

  /** How a server tells who calls: by a token that was given out, or one that the account signed for that server. */
  authenticators(audience: string): readonly Authenticator[] {
    const publicKey = this.#keys.publicKey.export({ type: "spki", format: "pem" }).toString();
    return [(call) => this.#issued(call), jwt({ issuer: this.email, audience, publicKey })];
  }

  [Symbol.dispose](): void {
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

  #issued({ metadata }: UnidentifiedCall): Authentication | undefined {
    const token = metadata.get("authorization")?.replace(/^Bearer /, "");
    if (token === undefined || !this.#tokens.has(token)) return undefined;
    return { identity: { key: `token:${this.email}`, source: "token", subject: this.email } };
  }
}
