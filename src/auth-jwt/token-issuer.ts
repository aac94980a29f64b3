import { type JSONWebKeySet, SignJWT } from "jose";
import { checkOptions, isObject, isPositive, isSpan, isText, type OptionCheck, show } from "../core/check-options.ts";
import { type Clock, systemClock } from "../core/clock.ts";
import { PUBLIC_ALGORITHMS } from "./algorithms.ts";
import type { Claims } from "./jwt-options.ts";
import { type LoadedKey, loadKey, makeKey, type SigningKey } from "./signing-key.ts";

/** How an issuer signs. All times in milliseconds. */
export interface TokenIssuerOptions {
  /** Who it is: the claim `iss` of its tokens, such as `https://shop.example`. No default. */
  readonly issuer: string;
  /** What new keys are for. Default: ES256. */
  readonly algorithm?: string | undefined;
  /** Keys that another process exported. Default: new ones are made when they are needed. */
  readonly keys?: readonly SigningKey[] | undefined;
  /** How long a key signs; `Infinity` for as long as nobody calls `rotate`. Default: 86,400,000 (a day). */
  readonly rotateEveryMs?: number | undefined;
  /**
   * How long a key is published before it signs: longer than whoever verifies keeps fetched keys. Default: 900,000
   * (`jwt` keeps them 600,000).
   */
  readonly publishAheadMs?: number | undefined;
  /** How long tokens may live at most: so long a key is published after it signed last. Default: 3,600,000 (an hour). */
  readonly maxTtlMs?: number | undefined;
  /** Where time comes from. Default: this machine. */
  readonly clock?: Clock | undefined;
}

/** What a token says. */
export interface TokenRequest {
  /** Whom it is for, the one who sends it: the claim `sub`. */
  readonly subject: string;
  /** Who takes it: the claim `aud`. */
  readonly audience: string | readonly string[];
  /** What its holder may do: the claim `scope`. Default: nothing. */
  readonly scopes?: readonly string[] | undefined;
  /** How long it lives, in milliseconds; at most `maxTtlMs`. Default: 300,000, or `maxTtlMs` if that is less. */
  readonly ttlMs?: number | undefined;
  /** What else it says; what is said above has precedence. Default: nothing. */
  readonly claims?: Claims | undefined;
}

/** A token, as `cachedToken` takes it. */
export interface SignedToken {
  readonly token: string;
  /** When it ends, in milliseconds of wall time. */
  readonly expiresAt: number;
}

/** Issues tokens for calls between services, for those who have no identity provider. */
export interface TokenIssuer {
  /** @throws TypeError that lists everything that is wrong with the request. */
  sign(request: TokenRequest): Promise<SignedToken>;
  /**
   * The public keys of all tokens that may still live, and of those to come: for `jwt({ jwks })`, or to be served over
   * HTTPS.
   */
  jwks(): Promise<JSONWebKeySet>;
  /**
   * Makes a new key, which signs once it was published for `publishAheadMs`.
   *
   * @param options `withdraw`: it signs at once, and all others are withdrawn, with the tokens that they signed: for a
   *   key that somebody else may have.
   */
  rotate(options?: { readonly withdraw?: boolean | undefined }): Promise<void>;
  /** The keys, secret as they are, for other processes that issue. */
  exportKeys(): Promise<readonly SigningKey[]>;
  /** Takes over the keys that another process exported, in place of its own. @throws TypeError for what is no key. */
  importKeys(keys: readonly SigningKey[]): Promise<void>;
}

/** Names alone; what they must be, `sign` says with what else it is about. */
const REQUEST: Readonly<Record<keyof TokenRequest, OptionCheck>> = {
  subject: () => undefined,
  audience: () => undefined,
  scopes: (value) => (Array.isArray(value) ? undefined : `must be an array of texts; it is ${show(value)}`),
  ttlMs: () => undefined,
  claims: isObject,
};

/** How much longer than its tokens a key is published, in milliseconds: clocks differ. */
const TOLERANCE_MS = 60_000;

const OPTIONS: Readonly<Record<keyof TokenIssuerOptions, OptionCheck>> = {
  issuer: isText,
  algorithm: (value) =>
    PUBLIC_ALGORITHMS.includes(String(value))
      ? undefined
      : `must be one of ${PUBLIC_ALGORITHMS.join(", ")}; it is ${show(value)}`,
  keys: (value) => (Array.isArray(value) && value.length > 0 ? undefined : "must be what exportKeys gave"),
  rotateEveryMs: isPositive,
  publishAheadMs: isSpan,
  maxTtlMs: isSpan,
  clock: isObject,
};

/**
 * An issuer of tokens whose keys rotate. Of several processes that issue, one rotates and the others take its keys over:
 * each with keys of its own would need to publish those of all.
 *
 * @throws TypeError that lists everything that is wrong with the options.
 */
export function tokenIssuer(options: TokenIssuerOptions): TokenIssuer {
  const problems = checkOptions(options, OPTIONS);
  if (!options?.issuer) problems.push("issuer is missing: who issues them");
  const { rotateEveryMs = 86_400_000, publishAheadMs = 900_000 } = options ?? {};
  if (rotateEveryMs <= publishAheadMs) problems.push("rotateEveryMs must be greater than publishAheadMs");
  if (problems.length > 0) throw new TypeError(`tokenIssuer: ${problems.join("; ")}`);
  return new Issuer(options, { rotateEveryMs, publishAheadMs });
}

class Issuer implements TokenIssuer {
  readonly #issuer: string;
  readonly #algorithm: string;
  readonly #rotateEveryMs: number;
  readonly #publishAheadMs: number;
  readonly #maxTtlMs: number;
  readonly #clock: Clock;
  /** Oldest first. */
  #keys: readonly LoadedKey[] = [];
  /** What changes keys comes one after the other. */
  #changes: Promise<unknown>;

  constructor(options: TokenIssuerOptions, spans: { rotateEveryMs: number; publishAheadMs: number }) {
    this.#issuer = options.issuer;
    this.#algorithm = options.algorithm ?? "ES256";
    this.#rotateEveryMs = spans.rotateEveryMs;
    this.#publishAheadMs = spans.publishAheadMs;
    this.#maxTtlMs = options.maxTtlMs ?? 3_600_000;
    this.#clock = options.clock ?? systemClock;
    this.#changes = options.keys ? this.#take(options.keys) : Promise.resolve();
    // Told to whoever calls first.
    this.#changes.catch(() => {});
  }

  async sign(request: TokenRequest): Promise<SignedToken> {
    const { subject, audience, scopes = [], ttlMs = Math.min(300_000, this.#maxTtlMs), claims } = request ?? {};
    this.#check(request ?? {}, ttlMs);
    const { kid, algorithm, key } = await this.#current();
    const now = this.#clock.wallTime();
    const exp = Math.floor((now + ttlMs) / 1_000);
    const said = { iss: this.#issuer, sub: subject, aud: [audience].flat(), iat: Math.floor(now / 1_000), exp };
    const token = await new SignJWT({ ...claims, ...said, scope: scopes.join(" ") })
      .setProtectedHeader({ alg: algorithm, kid, typ: "at+jwt" })
      .sign(key);
    return { token, expiresAt: exp * 1_000 };
  }

  async jwks(): Promise<JSONWebKeySet> {
    await this.#current();
    return { keys: this.#keys.map(({ publicJwk }) => publicJwk) };
  }

  async rotate({ withdraw = false }: { readonly withdraw?: boolean } = {}): Promise<void> {
    await this.#change(async () => {
      const now = this.#clock.wallTime();
      const made = await makeKey(this.#algorithm, withdraw ? now : now + this.#publishAheadMs);
      this.#keys = withdraw ? [made] : [...this.#keys, made];
    });
  }

  async exportKeys(): Promise<readonly SigningKey[]> {
    await this.#current();
    return this.#keys.map(({ jwk, signsFrom }) => ({ jwk, signsFrom }));
  }

  async importKeys(keys: readonly SigningKey[]): Promise<void> {
    await this.#change(() => this.#take(keys));
  }

  async #take(keys: readonly SigningKey[]): Promise<void> {
    const loaded = await Promise.all(keys.map(loadKey));
    if (loaded.length === 0) throw new TypeError("importKeys: there are no keys");
    this.#keys = loaded.toSorted((a, b) => a.signsFrom - b.signsFrom);
  }

  /** The key that signs now, once keys are as they should be. */
  async #current(): Promise<LoadedKey> {
    await this.#change(() => this.#tend());
    const now = this.#clock.wallTime();
    // All of them are to come where one was imported early: it signs all the same.
    return (this.#keys.findLast(({ signsFrom }) => signsFrom <= now) ?? this.#keys[0]) as LoadedKey;
  }

  #change(change: () => Promise<void>): Promise<void> {
    const changed = this.#changes.then(change);
    this.#changes = changed.catch(() => {});
    return changed;
  }

  async #tend(): Promise<void> {
    const now = this.#clock.wallTime();
    const newest = this.#keys.at(-1);
    if (!newest) this.#keys = [await makeKey(this.#algorithm, now)];
    else if (now >= newest.signsFrom + this.#rotateEveryMs - this.#publishAheadMs) {
      // Late where nobody has asked for long; published for its time all the same.
      const signsFrom = Math.max(newest.signsFrom + this.#rotateEveryMs, now + this.#publishAheadMs);
      this.#keys = [...this.#keys, await makeKey(this.#algorithm, signsFrom)];
    }
    this.#keys = this.#keys.filter((_, index) => this.#isNeeded(index, now));
  }

  /** Whether a token may still live that the key signed, at the last before the next one did. */
  #isNeeded(index: number, now: number): boolean {
    const next = this.#keys[index + 1];
    return !next || now < next.signsFrom + this.#maxTtlMs + TOLERANCE_MS;
  }

  #check(request: TokenRequest, ttlMs: number): void {
    const { subject, audience, scopes } = request;
    const audiences: readonly unknown[] = [audience].flat();
    const unfit = (Array.isArray(scopes) ? scopes : []).filter(
      (scope) => typeof scope !== "string" || !/^[!#-[\]-~]+$/.test(scope),
    );
    const problems = [
      ...checkOptions(request, REQUEST),
      ...(isName(subject) ? [] : ["subject must be a text, not empty"]),
      ...(audiences.length > 0 && audiences.every(isName) ? [] : ["audience must be a text, or an array of them"]),
      ...unfit.map(
        (scope) => `the scope ${show(scope)} has more than printable ASCII without space, quote and backslash`,
      ),
      ...(ttlMs >= 1_000 && ttlMs <= this.#maxTtlMs
        ? []
        : [`ttlMs must be at least 1000 and at most maxTtlMs, ${this.#maxTtlMs}; it is ${show(ttlMs)}`]),
    ];
    if (problems.length > 0) throw new TypeError(`sign: ${problems.join("; ")}`);
  }
}

function isName(value: unknown): boolean {
  return typeof value === "string" && value !== "";
}
