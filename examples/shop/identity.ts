import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { bearer, type Credentials, cachedToken } from "bowline";
import { jwt, type TokenIssuer, tokenIssuer } from "bowline/auth-jwt";
import type { Authenticator } from "bowline/server";
import type { Settings } from "./settings.ts";

/** Whose tokens the services take. */
export const ISSUER = "https://shop.example";

/** What the shop's services know each other and their callers by, with `SHOP_AUTH`. */
export class ShopIdentity {
  readonly #issuer: TokenIssuer;

  private constructor(issuer: TokenIssuer) {
    this.#issuer = issuer;
  }

  /**
   * With keys that all of the shop's processes share: the first of them makes them. Where services run on several
   * machines, one issues and serves `jwks()`, and the others fetch that.
   */
  static async open({ dataFolder }: Settings): Promise<ShopIdentity> {
    const path = join(dataFolder, "keys.json");
    const text = read(path) ?? (await create(path));
    // None of them rotates: each would have keys of its own from then on.
    const rotateEveryMs = Number.POSITIVE_INFINITY;
    return new ShopIdentity(tokenIssuer({ issuer: ISSUER, keys: JSON.parse(text), rotateEveryMs }));
  }

  /** Lets in whoever has a token for a service. */
  authenticate(service: "orders" | "users"): Authenticator {
    return jwt({ issuer: ISSUER, audience: service, type: "at+jwt", jwks: () => this.#issuer.jwks() });
  }

  /** What a service calls another one with, in its own name. */
  credentials(subject: string, audience: "orders" | "users", scopes: readonly string[]): Credentials {
    return bearer(cachedToken(() => this.#issuer.sign({ subject, audience, scopes })));
  }

  /** A token to try the shop with, for an hour. */
  async token(subject: string, audience: "orders" | "users", scopes: readonly string[]): Promise<string> {
    return (await this.#issuer.sign({ subject, audience, scopes, ttlMs: 3_600_000 })).token;
  }
}

function read(path: string): string | undefined {
  try {
    return readFileSync(path, "utf8");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw error;
  }
}

async function create(path: string): Promise<string> {
  mkdirSync(join(path, ".."), { recursive: true });
  const text = JSON.stringify(await tokenIssuer({ issuer: ISSUER }).exportKeys());
  try {
    writeFileSync(path, text, { flag: "wx", mode: 0o600 });
    return text;
  } catch (error) {
    // Another process was faster.
    if ((error as NodeJS.ErrnoException).code === "EEXIST") return readFileSync(path, "utf8");
    throw error;
  }
}
