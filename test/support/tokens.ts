/** JSON Web Tokens for tests, signed by a key that nobody else has. */
import { constants, createPublicKey, generateKeyPairSync, sign, type KeyObject } from "node:crypto";

export interface Issuer {
  /** Its public keys, as a JSON Web Key Set. */
  jwks: string;
  /** A signed token; `header` fields replace the usual ones. Claims may be text: JSON as it is. */
  token(claims: object | string, header?: object): string;
}

const part = (value: object | string): string => Buffer.from(typeof value === "string" ? value : JSON.stringify(value)).toString("base64url");

const CURVES: Record<string, string> = { ES256: "P-256", ES384: "P-384", ES512: "P-521" };

function makeKey(alg: string): KeyObject {
  if (alg === "EdDSA") return generateKeyPairSync("ed25519").privateKey;
  return (CURVES[alg] === undefined ? generateKeyPairSync("rsa", { modulusLength: 2048 }) : generateKeyPairSync("ec", { namedCurve: CURVES[alg] })).privateKey;
}

/** @param alg RFC 7518's name @param shown members of its JWK to leave out */
export function issuer(kid = "k1", alg = "ES256", without: readonly string[] = []): Issuer {
  const key = makeKey(alg);
  const jwk = Object.entries({ ...(createPublicKey(key as unknown as string) as KeyObject).export({ format: "jwk" }), kid, alg, use: "sig" });
  const padding = alg.startsWith("PS") ? { padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: constants.RSA_PSS_SALTLEN_DIGEST } : {};
  return {
    jwks: JSON.stringify({ keys: [Object.fromEntries(jwk.filter(([name]) => !without.includes(name)))] }),
    token: (claims, header = {}) => {
      const signed = `${part({ alg, typ: "JWT", kid, ...header })}.${part(claims)}`;
      return `${signed}.${sign(alg === "EdDSA" ? null : `sha${alg.slice(2)}`, Buffer.from(signed), { key, dsaEncoding: "ieee-p1363", ...padding }).toString("base64url")}`;
    },
  };
}
