export { type BearerOptions, bearer, type TokenSource } from "./bearer.ts";
export { type CachedTokenOptions, cachedToken, type IssuedToken } from "./cached-token.ts";
export type { CallCredentials, CredentialAttempt, Credentials, Sent } from "./credentials.ts";
export { type ForwardOptions, forwardCallerToken } from "./forward-caller-token.ts";
