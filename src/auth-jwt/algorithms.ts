import type { KeyObject } from "node:crypto";

/** What a shared secret signs with. Never taken together with public keys: whoever knows one of those could sign. */
export const SECRET_ALGORITHMS: readonly string[] = ["HS256", "HS384", "HS512"];

const RSA_ALGORITHMS = ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512"];
const EDWARDS_ALGORITHMS = ["EdDSA", "Ed25519"];
const CURVES: Readonly<Record<string, string>> = { prime256v1: "ES256", secp384r1: "ES384", secp521r1: "ES512" };

/** What public keys are taken for, whichever of them a set of keys has. */
export const PUBLIC_ALGORITHMS: readonly string[] = [
  ...Object.values(CURVES),
  ...RSA_ALGORITHMS,
  ...EDWARDS_ALGORITHMS,
];

/** The algorithms that one public key is for; none for a key that signs no tokens. */
export function algorithmsOf({ asymmetricKeyType, asymmetricKeyDetails }: KeyObject): readonly string[] {
  switch (asymmetricKeyType) {
    case "rsa":
      return RSA_ALGORITHMS;
    case "ed25519":
      return EDWARDS_ALGORITHMS;
    case "ec": {
      const algorithm = CURVES[asymmetricKeyDetails?.namedCurve ?? ""];
      return algorithm === undefined ? [] : [algorithm];
    }
    default:
      return [];
  }
}
