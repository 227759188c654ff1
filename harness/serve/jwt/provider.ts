/** One issuer's tokens in a request: found, verified, and what becomes of them. */
import { toByteString } from "../../host/bytes.ts";
import type { HeaderMap, Json } from "../../host/index.ts";
import type { JwtProviderConfig } from "../schema/jwt.ts";
import { tokensIn, type Found } from "./extract.ts";
import type { Struct } from "./json.ts";
import { readKeys, verifySignature, type KeySet } from "./keys.ts";
import type { RemoteKeys } from "./remote.ts";
import { STATUS, type Status } from "./status.ts";
import { audienceAllowed, claimAt, parseToken, timeProblem, type Token } from "./token.ts";

export interface Verification {
  headers: HeaderMap;
  /** Claims for dynamic metadata, by key. */
  claims: (key: string, payload: Struct) => void;
  nowSeconds: () => number;
  /** Nobody waits for it any more. */
  cancelled: () => boolean;
}

export class JwtProvider {
  readonly remote: RemoteKeys | undefined;
  readonly #config: JwtProviderConfig;
  readonly #local: KeySet | undefined;

  constructor(config: JwtProviderConfig, remote: RemoteKeys | undefined) {
    this.#config = config;
    this.remote = remote;
    this.#local = config.local_jwks && readKeys(config.local_jwks.inline_string);
  }

  /** @param done once; within this call unless keys have to be fetched first */
  verify(verification: Verification, done: (status: Status) => void): void {
    const { forward_payload_header, claim_to_headers = [] } = this.#config;
    const written = [...(forward_payload_header === undefined ? [] : [forward_payload_header]), ...claim_to_headers.map(({ header_name }) => header_name)];
    for (const name of written) verification.headers.remove(name);
    const found = tokensIn(verification.headers, this.#config);
    if (found.length === 0) return done(STATUS.missed);
    this.#next(verification, found, done);
  }

  /** All of them must be good: a backend might look at another one than was verified. Envoy begins with the last. */
  #next(verification: Verification, left: Found[], done: (status: Status) => void): void {
    const found = left.pop()!;
    this.#one(verification, found, (status) => {
      if (status !== STATUS.ok || left.length === 0) done(status);
      else this.#next(verification, left, done);
    });
  }

  #one(verification: Verification, found: Found, done: (status: Status) => void): void {
    const token = parseToken(found.token);
    if (typeof token === "string") return done(token);
    if (token.issuer !== this.#config.issuer) return done(STATUS.unknownIssuer);
    const late = timeProblem(token, verification.nowSeconds());
    if (late !== undefined) return done(late);
    if (!audienceAllowed(token, this.#config.audiences ?? [])) return done(STATUS.audience);
    const decide = (keys: KeySet): void => {
      const status = verifySignature(token, keys);
      if (status === STATUS.ok) this.#accept(verification, token, found);
      done(status);
    };
    const keys = this.#local ?? this.remote?.keys;
    if (keys) return decide(keys);
    if (!this.remote) return done(STATUS.noKeys);
    this.remote.fetch((fetched) => {
      if (verification.cancelled()) return;
      if (fetched) decide(fetched);
      else done(STATUS.fetch);
    });
  }

  #accept({ headers, claims }: Verification, token: Token, found: Found): void {
    const { forward_payload_header, claim_to_headers = [], forward, payload_in_metadata } = this.#config;
    if (forward_payload_header !== undefined) headers.add(forward_payload_header, token.payloadText);
    for (const { header_name, claim_name } of claim_to_headers) {
      const value = claimText(claimAt(token.payload, claim_name));
      if (value !== "") headers.add(header_name, value);
    }
    if (!forward) found.remove(headers);
    claims(payload_in_metadata, this.#split(token.payload));
  }

  /** Some claims are lists with spaces between. */
  #split(payload: Struct): Struct {
    const split = new Set(this.#config.normalize_payload_in_metadata.space_delimited_claims);
    return Object.fromEntries(
      Object.entries(payload).map(([name, value]) => {
        const words = split.has(name) && typeof value === "string" ? value.split(" ").filter((word) => word !== "") : [];
        return [name, words.length > 0 ? words : value];
      }),
    );
  }
}

/** A claim as a header's value; empty: none. Lists and objects as JSON in Base64. A byte string. */
function claimText(value: Json | undefined): string {
  if (value === undefined || value === null) return "";
  const text = typeof value === "number" ? numberText(value) : typeof value === "object" ? Buffer.from(json(value)).toString("base64") : String(value);
  return toByteString(text);
}

/** As protobuf writes it: characters that a browser could stumble over are escaped. */
function json(value: Json): string {
  return JSON.stringify(value).replace(/[<>\x7f-\x9f\xad\u0600-\u0603\u06dd\u070f\u17b4\u17b5\u200b-\u200f\u2028-\u202e\u2060-\u2064\u206a-\u206f\ufeff\ufff9-\ufffb]/g, (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`);
}

/** Whole numbers of 64 bits as such, others as C++ prints a double. */
function numberText(value: number): string {
  if (!Number.isInteger(value)) return value.toFixed(6);
  return value >= 0 && value < 2 ** 64 ? BigInt(value).toString() : `${BigInt(value)}.000000`;
}
