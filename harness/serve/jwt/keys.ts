/** JSON Web Key Sets (RFC 7517), and whether one of their keys has signed a token. Public keys alone: node:crypto reads and uses them. */
import { constants, createPublicKey, verify, type JsonWebKey, type KeyObject } from "node:crypto";
import type { Json } from "../../host/index.ts";
import { readStruct, type Struct } from "./json.ts";
import { STATUS, type Status } from "./status.ts";
import { own, type Token } from "./token.ts";

interface Key {
  /** Empty: of any. */
  kid: string;
  alg: string;
  /** What it can verify. */
  algorithms: readonly string[];
  key: KeyObject;
}

export type KeySet = readonly Key[];

const CURVES: Readonly<Record<string, string>> = { "P-256": "ES256", "P-384": "ES384", "P-521": "ES512" };
const RSA = ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512"];
/** Exponents that Envoy takes, as JWKs write them. */
const EXPONENTS = new Set(["Aw", "AQAB"]);
const ED25519_BYTES = 64;

/** The keys that are any good; undefined where there is none. Shared secrets are none: who fetches them could sign. */
export function readKeys(text: string): KeySet | undefined {
  const set = readStruct(Buffer.from(text));
  const list = set && own(set, "keys");
  if (!Array.isArray(list)) return undefined;
  const keys = (list as readonly Json[]).flatMap((each) => (typeof each === "object" && each !== null && !Array.isArray(each) ? (readKey(each as Struct) ?? []) : []));
  return keys.length > 0 ? keys : undefined;
}

function readKey(jwk: Struct): Key | undefined {
  const text = (name: string): string => {
    const value = own(jwk, name);
    return typeof value === "string" ? value : "";
  };
  const alg = text("alg");
  const algorithms = algorithmsOf(text("kty"), text("crv") || (text("kty") === "EC" ? curveOf(alg) : ""), text("e"));
  if (algorithms === undefined || (alg !== "" && !algorithms.includes(alg))) return undefined;
  try {
    const { kty, n, e, x, y } = jwk as JsonWebKey;
    const crv = text("crv") || (kty === "EC" ? curveOf(alg) : undefined);
    return { kid: text("kid"), alg, algorithms, key: createPublicKey({ format: "jwk", key: { kty, n, e, x, y, crv } as JsonWebKey }) };
  } catch {
    return undefined;
  }
}

/** Without a curve, the algorithm's; P-256 where there is none either. */
function curveOf(alg: string): string {
  return Object.keys(CURVES).find((curve) => CURVES[curve] === alg) ?? (alg === "" ? "P-256" : "");
}

function algorithmsOf(kty: string, crv: string, exponent: string): readonly string[] | undefined {
  if (kty === "RSA") return EXPONENTS.has(exponent) ? RSA : undefined;
  if (kty === "EC") return Object.hasOwn(CURVES, crv) ? [CURVES[crv]!] : undefined;
  return kty === "OKP" && crv === "Ed25519" ? ["EdDSA"] : undefined;
}

/** Looks for the key that signed: of the token's `kid` and `alg` where key and token say one. */
export function verifySignature(token: Token, keys: KeySet): Status {
  const fitting = keys.filter(({ kid, alg }) => (token.kid === "" || kid === "" || kid === token.kid) && (alg === "" || alg === token.alg));
  if (fitting.length === 0) return STATUS.noMatchingKey;
  for (const { algorithms, key } of fitting) {
    if (algorithms.includes("EdDSA") && token.signature.length !== ED25519_BYTES) return STATUS.ed25519Length;
    if (!algorithms.includes(token.alg)) continue;
    if (signedBy(token, key)) return STATUS.ok;
  }
  return STATUS.verification;
}

function signedBy({ alg, signed, signature }: Token, key: KeyObject): boolean {
  const hash = alg === "EdDSA" ? null : `sha${alg.slice(2)}`;
  const padding = alg.startsWith("PS") ? { padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: constants.RSA_PSS_SALTLEN_AUTO } : {};
  try {
    return verify(hash, signed, { key, ...(alg.startsWith("ES") && { dsaEncoding: "ieee-p1363" as const }), ...padding }, signature);
  } catch {
    return false;
  }
}
