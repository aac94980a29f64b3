const BRAND = "@@bowline:CredentialError";
const FOREIGN = "@@bowline:ForeignCredentialError";

/**
 * What an authenticator throws for credentials that are there and wrong: forged, expired, for somebody else. The caller
 * is answered UNAUTHENTICATED and no word of why. The observer is told the message: words that are few and stay, such as
 * `expired`, and never the credential.
 */
export class CredentialError extends Error {
  /** Of any copy of this package, as dependencies bring along. */
  static override [Symbol.hasInstance](value: unknown): boolean {
    return typeof value === "object" && value !== null && Reflect.get(value, BRAND) === true;
  }
}

Object.defineProperty(CredentialError.prototype, "name", { value: "CredentialError", configurable: true });
Object.defineProperty(CredentialError.prototype, BRAND, { value: true });

/**
 * What an authenticator throws for credentials that say themselves that another one issued them. The next authenticator
 * is asked, and the caller refused with this only if none of them takes them: it did come with credentials, so that it
 * is nobody who came without any, on methods that are public too.
 */
export class ForeignCredentialError extends CredentialError {
  static override [Symbol.hasInstance](value: unknown): boolean {
    return typeof value === "object" && value !== null && Reflect.get(value, FOREIGN) === true;
  }
}

Object.defineProperty(ForeignCredentialError.prototype, FOREIGN, { value: true });
