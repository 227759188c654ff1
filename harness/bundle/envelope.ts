/** Signed policy bundles: DSSE envelopes (github.com/secure-systems-lab/dsse) around policies for one node. */
import { sign, verify, type KeyObject } from "node:crypto";
import { Type, type Static } from "@sinclair/typebox";
import { Value } from "@sinclair/typebox/value";

export const PAYLOAD_TYPE = "application/vnd.selvedge.policy+json";
/** More signatures are refused: each costs the node a verification with each key. */
const MOST_SIGNATURES = 4;

/** The end of the year 9999: what is beyond was meant as milliseconds. */
export const LATEST_EXPIRY = 253_402_300_799;

const closed = { additionalProperties: false };

/** As it is sent, stored and mounted. */
export const EnvelopeSchema = Type.Object(
  {
    payloadType: Type.Literal(PAYLOAD_TYPE),
    payload: Type.String(),
    signatures: Type.Array(Type.Object({ keyid: Type.Optional(Type.String()), sig: Type.String() }, closed), { maxItems: MOST_SIGNATURES }),
  },
  closed,
);
export type Envelope = Static<typeof EnvelopeSchema>;

/** What is signed. */
export const PayloadSchema = Type.Object(
  {
    /** Grows with each bundle for a node: an older one is never taken again. */
    version: Type.Integer({ minimum: 0, maximum: Number.MAX_SAFE_INTEGER }),
    /** Seconds since 1970. */
    expires: Type.Integer({ minimum: 0, maximum: LATEST_EXPIRY }),
    /** Nodes that may take it. */
    audience: Type.Array(Type.String()),
    /** The part of the authz filter's configuration that decides: policies, and what they apply to. */
    authz: Type.Record(Type.String(), Type.Unknown()),
  },
  closed,
);
export type Payload = Static<typeof PayloadSchema>;

/** Why a bundle isn't taken; the filter's counter `selvedge_authz_bundle_rejections_total` has the same words. */
export type Reason = "malformed" | "signature" | "audience" | "version" | "expired";

export interface Trust {
  /** Each is tried, whatever the envelope says about who signed. */
  keys: readonly KeyObject[];
  /** Unless given, the bundle may be for any node. */
  audience?: string;
  minimumVersion?: number;
  /** Seconds since 1970. */
  now: number;
}

export type Opened = { payload: Payload; reason?: undefined } | { reason: Reason; detail: string; payload?: Payload };

/** Pre-authentication encoding: the text that is signed. */
export function signedText(payload: Buffer): Buffer {
  return Buffer.concat([Buffer.from(`DSSEv1 ${PAYLOAD_TYPE.length} ${PAYLOAD_TYPE} ${payload.length} `), payload]);
}

/** An envelope with one signature for each key: two while one key replaces the other. */
export function seal(payload: Payload, keys: readonly { key: KeyObject; id?: string }[]): Envelope {
  const bytes = Buffer.from(JSON.stringify(payload));
  const signatures = keys.map(({ key, id }) => ({ ...(id !== undefined && { keyid: id }), sig: sign("sha256", signedText(bytes), key).toString("base64") }));
  return { payloadType: PAYLOAD_TYPE, payload: bytes.toString("base64"), signatures };
}

/** Decides on an envelope as the filter does, except that policies are only compiled there. Pure. */
export function open(text: string, trust: Trust): Opened {
  const parsed = parse(text);
  const envelope: unknown = typeof parsed === "object" && !Array.isArray(parsed) ? { signatures: [], ...parsed } : parsed;
  if (!Value.Check(EnvelopeSchema, envelope)) return { reason: "malformed", detail: `no DSSE envelope with payload type ${PAYLOAD_TYPE}` };
  const bytes = decode(envelope.payload);
  const signatures = envelope.signatures.map(({ sig }) => decode(sig));
  if (bytes === undefined || signatures.includes(undefined)) return { reason: "malformed", detail: "something in it is no base64" };
  const signed = signedText(bytes);
  const trusted = signatures.some((signature) => trust.keys.some((key) => holds(signed, key, signature!)));
  if (!trusted) return { reason: "signature", detail: "no signature by a trusted key" };
  const payload = parse(bytes.toString());
  if (!Value.Check(PayloadSchema, payload)) return { reason: "malformed", detail: "its payload isn't that of a policy bundle" };
  if (trust.audience !== undefined && !payload.audience.includes(trust.audience)) return { reason: "audience", detail: `it is for ${payload.audience.join(", ") || "nobody"}`, payload };
  if (payload.version < (trust.minimumVersion ?? 0)) return { reason: "version", detail: `it is version ${payload.version}`, payload };
  if (payload.expires <= trust.now) return { reason: "expired", detail: `it expired at ${new Date(payload.expires * 1000).toISOString()}`, payload };
  return { payload };
}

/** The version that a bundle says it has, whoever wrote it; undefined: it isn't one. */
export function claimedVersion(text: string): number | undefined {
  const { payload } = (parse(text) ?? {}) as { payload?: unknown };
  const { version } = ((typeof payload === "string" && parse(Buffer.from(payload, "base64").toString())) || {}) as { version?: unknown };
  return Number.isSafeInteger(version) ? (version as number) : undefined;
}

/** Undefined where it isn't JSON, or has a member twice, of which each reader would see another. */
function parse(text: string): unknown {
  try {
    const value: unknown = JSON.parse(text);
    return repeatsMember(text) ? undefined : value;
  } catch {
    return undefined;
  }
}

/** @param text of JSON */
function repeatsMember(text: string): boolean {
  const open: (Set<string> | undefined)[] = [];
  const token = /"(?:[^"\\]|\\.)*"(\s*:)?|[{}[\]]/g;
  for (const [part, colon] of text.matchAll(token)) {
    if (part === "{") open.push(new Set());
    else if (part === "[") open.push(undefined);
    else if (part === "}" || part === "]") open.pop();
    else if (colon !== undefined) {
      const name = JSON.parse(part.slice(0, -colon.length)) as string;
      const names = open.at(-1)!;
      if (names.has(name)) return true;
      names.add(name);
    }
  }
  return false;
}

/** Either alphabet, padded or not, and one text only for each value. */
function decode(text: string): Buffer | undefined {
  const bytes = Buffer.from(text, "base64");
  const plain = text.replaceAll("-", "+").replaceAll("_", "/");
  const canonical = bytes.toString("base64");
  return bytes.length > 0 && (plain === canonical || plain === canonical.replace(/=+$/, "")) ? bytes : undefined;
}

function holds(text: Buffer, key: KeyObject, signature: Buffer): boolean {
  try {
    return verify("sha256", text, key, signature);
  } catch {
    return false;
  }
}
