/** A JSON Web Token (RFC 7519) as Envoy's jwt_authn reads it, before anything about it is believed. Pure. */
import { byteStringToBytes } from "../../host/bytes.ts";
import type { Json } from "../../host/index.ts";
import { readStruct, type Struct } from "./json.ts";
import { notInteger, notPositive, notString, notStrings, STATUS, type Status } from "./status.ts";

export interface Token {
  alg: string;
  /** Empty: any key may do. */
  kid: string;
  payload: Struct;
  /** As it came. */
  payloadText: string;
  issuer: string;
  audiences: string[];
  /** Seconds; 0: not said. */
  notBefore: number;
  expires: number;
  signed: Uint8Array;
  signature: Uint8Array;
}

const ALGORITHMS = new Set(["ES256", "ES384", "ES512", "HS256", "HS384", "HS512", "RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "EdDSA"]);
/** Envoy's clock_skew_seconds where nothing is configured. */
const SKEW_SECONDS = 60;

/** @param text a byte string, from a header or a parameter */
export function parseToken(text: string): Token | Status {
  const [header64 = "", payload64 = "", signature64 = "", ...rest] = text.split(".");
  if (rest.length > 0 || header64 === "" || payload64 === "" || signature64 === "") return STATUS.badFormat;
  const headerBytes = base64Url(header64);
  if (!headerBytes) return STATUS.headerBase64;
  const header = readStruct(headerBytes);
  if (!header) return STATUS.headerJson;
  const alg = own(header, "alg");
  if (typeof alg !== "string") return STATUS.headerAlg;
  if (!ALGORITHMS.has(alg)) return STATUS.headerAlgUnknown;
  const kid = own(header, "kid") ?? "";
  if (typeof kid !== "string" || own(header, "kid") === null) return STATUS.headerKid;
  const payloadBytes = base64Url(payload64);
  if (!payloadBytes) return STATUS.payloadBase64;
  const payload = readStruct(payloadBytes);
  if (!payload) return STATUS.payloadJson;
  const problem = claimProblem(payload);
  if (problem !== undefined) return problem;
  const signature = base64Url(signature64);
  if (!signature) return STATUS.signatureBase64;
  const audience = own(payload, "aud") ?? [];
  return {
    alg, kid, payload, signature,
    payloadText: payload64,
    issuer: (own(payload, "iss") as string | undefined) ?? "",
    audiences: typeof audience === "string" ? [audience] : (audience as string[]),
    notBefore: Math.trunc((own(payload, "nbf") as number | undefined) ?? 0),
    expires: Math.trunc((own(payload, "exp") as number | undefined) ?? 0),
    signed: byteStringToBytes(`${header64}.${payload64}`),
  };
}

/** Envoy looks at these in this order. */
function claimProblem(payload: Struct): Status | undefined {
  for (const name of ["iss", "sub"]) if (!isString(own(payload, name))) return notString(name);
  for (const name of ["iat", "nbf", "exp"]) {
    const value = own(payload, name);
    if (value === undefined) continue;
    if (typeof value !== "number") return notInteger(name);
    if (value < 0 || value >= 2 ** 64) return notPositive(name);
  }
  if (!isString(own(payload, "jti"))) return notString("jti");
  const audience = own(payload, "aud");
  const strings = Array.isArray(audience) && audience.every((each) => typeof each === "string");
  return isString(audience) || strings ? undefined : notStrings("aud");
}

const isString = (value: Json | undefined): boolean => value === undefined || typeof value === "string";

/** A claim that is there; never what every object has. */
export function own(struct: Struct, name: string): Json | undefined {
  return Object.hasOwn(struct, name) ? struct[name] : undefined;
}

/** A claim by its path, `realm.role`. */
export function claimAt(payload: Struct, path: string): Json | undefined {
  let at: Json | undefined = payload;
  for (const name of path.split(".")) {
    if (typeof at !== "object" || at === null || Array.isArray(at)) return undefined;
    at = own(at as Struct, name);
  }
  return at;
}

/** @param nowSeconds since 1970 */
export function timeProblem({ notBefore, expires }: Token, nowSeconds: number): Status | undefined {
  if (nowSeconds + SKEW_SECONDS < notBefore) return STATUS.notYetValid;
  return expires !== 0 && nowSeconds > expires + SKEW_SECONDS ? STATUS.expired : undefined;
}

/** Schemes and a slash at the end make no difference. */
export function audienceAllowed({ audiences }: Token, configured: readonly string[]): boolean {
  const bare = (audience: string): string => audience.replace(/^https?:\/\//, "").replace(/\/$/, "");
  const wanted = new Set(configured.map(bare));
  return wanted.size === 0 || audiences.some((each) => wanted.has(bare(each)));
}

/** Undefined: not Base64url. White space doesn't matter to Envoy, and padding may be left out, but isn't of any other length. */
function base64Url(text: string): Uint8Array | undefined {
  const [, digits, padding] = /^([A-Za-z0-9_-]*)(=*)$/.exec(text.replace(/[\t\n\v\f\r ]/g, "")) ?? [];
  if (digits === undefined || digits.length % 4 === 1) return undefined;
  return padding === "" || padding!.length === (4 - (digits.length % 4)) % 4 ? Buffer.from(digits, "base64url") : undefined;
}
