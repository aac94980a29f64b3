export { jwt } from "./jwt.ts";
export type { Claims, JwtOptions } from "./jwt-options.ts";
export type { SigningKey } from "./signing-key.ts";
export {
  type SignedToken,
  type TokenIssuer,
  type TokenIssuerOptions,
  type TokenRequest,
  tokenIssuer,
} from "./token-issuer.ts";
