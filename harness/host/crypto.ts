import { createPrivateKey, createPublicKey, sign, verify, type KeyObject } from "node:crypto";
import { parseProto, protoBytes, protoText, ProtoWriter, type ProtoField } from "./proto.ts";
import { Status, type StatusCode } from "./types.ts";

/** Hash functions that Envoy's crypto utility knows; the name's case does not matter. */
const HASHES: ReadonlySet<string> = new Set(["sha1", "sha224", "sha256", "sha384", "sha512"]);

/** Exactly one of a DER and a PEM key; undefined: none, both, or not readable. */
function readKey(fields: readonly ProtoField[], der: number, pem: number, parse: (input: { key: Buffer; format: "der" | "pem" }) => KeyObject): KeyObject | undefined {
  const derBytes = protoBytes(fields, der);
  const pemBytes = protoBytes(fields, pem);
  if ((derBytes.length === 0) === (pemBytes.length === 0)) return undefined;
  try {
    return parse(derBytes.length > 0 ? { key: Buffer.from(derBytes), format: "der" } : { key: Buffer.from(pemBytes), format: "pem" });
  } catch {
    return undefined;
  }
}

/** Foreign function `verify_signature`: VerifySignatureArguments to VerifySignatureResult. */
export function verifyWith(argument: Uint8Array): Uint8Array | StatusCode {
  const fields = parseProto(argument);
  if (fields === undefined) return Status.BadArgument;
  const key = readKey(fields, 2, 5, (input) => createPublicKey(input.format === "der" ? { ...input, type: "spki" } as never : input));
  if (key === undefined) return Status.BadArgument;
  const hash = protoText(fields, 1);
  const answer = new ProtoWriter();
  if (!HASHES.has(hash.toLowerCase())) return answer.bytes(2, `${hash} is not supported.`).finish();
  let valid = false;
  try {
    valid = verify(hash.toLowerCase(), protoBytes(fields, 4), key, protoBytes(fields, 3));
  } catch {
    valid = false;
  }
  return valid ? answer.bool(1, true).finish() : answer.bytes(2, "Failed to verify digital signature. Error code: 0").finish();
}

/** Foreign function `sign`: SignArguments to SignResult. */
export function signWith(argument: Uint8Array): Uint8Array | StatusCode {
  const fields = parseProto(argument);
  if (fields === undefined) return Status.BadArgument;
  const key = readKey(fields, 2, 4, (input) => createPrivateKey(input.format === "der" ? { ...input, type: "pkcs8" } as never : input));
  if (key === undefined) return Status.BadArgument;
  const hash = protoText(fields, 1);
  const answer = new ProtoWriter();
  if (!HASHES.has(hash.toLowerCase())) return answer.bytes(3, `${hash} is not supported.`).finish();
  try {
    return answer.bool(1, true).bytes(2, sign(hash.toLowerCase(), protoBytes(fields, 3), key)).finish();
  } catch (error) {
    return answer.bytes(3, `Failed to create digital signature. ${(error as Error).message}`).finish();
  }
}
