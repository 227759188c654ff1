/** JSON Web Tokens for tests, signed by a key that nobody else has. */
import { createPublicKey, generateKeyPairSync, sign, type KeyObject } from "node:crypto";

export interface Issuer {
  /** Its public keys, as a JSON Web Key Set. */
  jwks: string;
  /** A signed token; `header` fields replace the usual ones. */
  token(claims: object, header?: object): string;
}

const part = (value: object | string): string => Buffer.from(typeof value === "string" ? value : JSON.stringify(value)).toString("base64url");

export function issuer(kid = "k1"): Issuer {
  const { privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
  const jwk = (createPublicKey(privateKey as unknown as string) as KeyObject).export({ format: "jwk" });
  return {
    jwks: JSON.stringify({ keys: [{ ...jwk, kid, alg: "ES256", use: "sig" }] }),
    token: (claims, header = {}) => {
      const signed = `${part({ alg: "ES256", typ: "JWT", kid, ...header })}.${part(claims)}`;
      return `${signed}.${sign("sha256", Buffer.from(signed), { key: privateKey, dsaEncoding: "ieee-p1363" }).toString("base64url")}`;
    },
  };
}
