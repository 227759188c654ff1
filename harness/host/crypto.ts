import { createPrivateKey, createPublicKey, sign, verify, type KeyObject } from "node:crypto";
import { parseProto, protoBytes, protoText, ProtoWriter, type ProtoField } from "./proto.ts";
import { Status, type StatusCode } from "./types.ts";

/** Hash functions that Envoy's crypto utility knows; the name's case does not matter. */
const HASHES: ReadonlySet<string> = new Set(["sha1", "sha224", "sha256", "sha384", "sha512"]);

/** Exactly one of a DER and a PEM key as Node takes it; undefined: none, or both. */
function keyInput(fields: readonly ProtoField[], der: number, pem: number): { key: Buffer; format: "der" | "pem" } | undefined {
  const derBytes = protoBytes(fields, der);
  const pemBytes = protoBytes(fields, pem);
  if ((derBytes.length === 0) === (pemBytes.length === 0)) return undefined;
  return derBytes.length > 0 ? { key: Buffer.from(derBytes), format: "der" } : { key: Buffer.from(pemBytes), format: "pem" };
}

/** A key that can be read; undefined: it cannot. */
function readKey(read: () => KeyObject): KeyObject | undefined {
  try {
    return read();
  } catch {
    return undefined;
  }
}

/** Whether the algorithm works on digests, as RSA and ECDSA do. */
const signsDigests = ({ asymmetricKeyType }: KeyObject): boolean => asymmetricKeyType === "rsa" || asymmetricKeyType === "ec";

/** Foreign function `verify_signature`: VerifySignatureArguments to VerifySignatureResult. */
export function verifyWith(argument: Uint8Array): Uint8Array | StatusCode {
  const fields = parseProto(argument);
  const input = fields && keyInput(fields, 2, 5);
  if (input === undefined) return Status.BadArgument;
  const answer = new ProtoWriter();
  const hash = protoText(fields!, 1);
  if (!HASHES.has(hash.toLowerCase())) return answer.bytes(2, `${hash} is not supported.`).finish();
  // Node would also take a private key, or PKCS #1.
  const readable = input.format === "der" || input.key.includes("-----BEGIN PUBLIC KEY-----");
  const key = readable ? readKey(() => createPublicKey(input.format === "der" ? { ...input, format: "der", type: "spki" } : input)) : undefined;
  if (key === undefined || !signsDigests(key)) return answer.bytes(2, "Failed to initialize digest verify.").finish();
  let valid = false;
  try {
    valid = verify(hash.toLowerCase(), protoBytes(fields!, 4), key, protoBytes(fields!, 3));
  } catch {
    valid = false;
  }
  return valid ? answer.bool(1, true).finish() : answer.bytes(2, "Failed to verify digest. Error code: 0").finish();
}

/** Foreign function `sign`: SignArguments to SignResult. */
export function signWith(argument: Uint8Array): Uint8Array | StatusCode {
  const fields = parseProto(argument);
  const input = fields && keyInput(fields, 2, 4);
  if (input === undefined) return Status.BadArgument;
  const answer = new ProtoWriter();
  const hash = protoText(fields!, 1);
  if (!HASHES.has(hash.toLowerCase())) return answer.bytes(3, `${hash} is not supported.`).finish();
  const key = readKey(() => createPrivateKey(input.format === "der" ? { ...input, format: "der", type: "pkcs8" } : input));
  if (key === undefined) return answer.bytes(3, "Invalid key type: private key required for signing operation.").finish();
  if (!signsDigests(key)) return answer.bytes(3, "Invalid private key: key data is corrupted or malformed.").finish();
  let signature: Uint8Array;
  try {
    signature = sign(hash.toLowerCase(), protoBytes(fields!, 3), key);
  } catch (error) {
    return answer.bytes(3, `Failed to create digital signature. ${(error as Error).message}`).finish();
  }
  return answer.bool(1, true).bytes(2, signature).finish();
}
