import { generateKeyPairSync, sign, type KeyObject } from "node:crypto";
import { ProtoWriter } from "../../harness/host/proto.ts";

/** Arguments of `verify_signature`, by field name. */
interface Verification {
  hash?: string;
  key?: Uint8Array;
  pem?: string;
  signature?: Uint8Array;
  text?: string;
}

/** Arguments of `sign`. */
type Signing = Omit<Verification, "signature">;

const TEXT = "what is signed";
const bytes = (text: string): Uint8Array => Buffer.from(text);
const spki = (key: KeyObject): Buffer => key.export({ format: "der", type: "spki" });
const pkcs8 = (key: KeyObject): Buffer => key.export({ format: "der", type: "pkcs8" });

function encodeVerification({ hash = "sha256", key, pem, signature, text = TEXT }: Verification): Uint8Array {
  const writer = new ProtoWriter().bytes(1, hash);
  if (key !== undefined) writer.bytes(2, key);
  if (signature !== undefined) writer.bytes(3, signature);
  writer.bytes(4, text);
  if (pem !== undefined) writer.bytes(5, pem);
  return writer.finish();
}

function encodeSigning({ hash = "sha256", key, pem, text = TEXT }: Signing): Uint8Array {
  const writer = new ProtoWriter().bytes(1, hash);
  if (key !== undefined) writer.bytes(2, key);
  writer.bytes(3, text);
  if (pem !== undefined) writer.bytes(4, pem);
  return writer.finish();
}

/** Configuration of the probe crypto: a line for each call, `v` (verify), `s` (sign) or `r` (sign, at random) and the argument in hexadecimal. */
export function signatureCalls(): string {
  const rsa = generateKeyPairSync("rsa", { modulusLength: 2048 });
  const p256 = generateKeyPairSync("ec", { namedCurve: "P-256" });
  const p384 = generateKeyPairSync("ec", { namedCurve: "P-384" });
  const other = generateKeyPairSync("ec", { namedCurve: "P-256" });
  const ed25519 = generateKeyPairSync("ed25519");
  const by = (hash: string, { privateKey }: { privateKey: KeyObject }): Buffer => sign(hash, bytes(TEXT), privateKey);
  const pem = (key: KeyObject, type: "spki" | "pkcs8" | "pkcs1" | "sec1"): string => key.export({ format: "pem", type: type as "pkcs1" }) as string;
  const ec = spki(p256.publicKey);
  const verifications: Verification[] = [
    { key: ec, signature: by("sha256", p256) },
    { key: ec, signature: by("sha256", p256), hash: "SHA256" },
    { key: ec, signature: by("sha256", p256), text: "something else" },
    { key: ec, signature: by("sha1", p256) },
    { key: ec, signature: by("sha1", p256), hash: "sha1" },
    { key: ec, signature: by("sha256", other) },
    { key: ec, signature: new Uint8Array(0) },
    { key: ec },
    { key: ec, signature: bytes("no signature") },
    { key: ec, signature: by("sha256", p256), hash: "md5" },
    { key: ec, signature: by("sha256", p256), hash: "" },
    { key: ec, signature: by("sha256", p256), hash: "sha-256" },
    { key: spki(p384.publicKey), signature: by("sha384", p384), hash: "sha384" },
    { key: spki(rsa.publicKey), signature: by("sha256", rsa) },
    { key: spki(rsa.publicKey), signature: by("sha512", rsa), hash: "sha512" },
    { key: spki(rsa.publicKey), signature: by("sha224", rsa), hash: "sha224" },
    { key: spki(rsa.publicKey), signature: by("sha256", p256) },
    { key: ec, signature: by("sha256", rsa) },
    { pem: pem(p256.publicKey, "spki"), signature: by("sha256", p256) },
    { pem: pem(rsa.publicKey, "spki"), signature: by("sha256", rsa) },
    { pem: pem(rsa.publicKey, "pkcs1"), signature: by("sha256", rsa) },
    { pem: pem(rsa.privateKey, "pkcs8"), signature: by("sha256", rsa) },
    { key: pkcs8(rsa.privateKey), signature: by("sha256", rsa) },
    { key: Buffer.concat([ec, bytes("more")]), signature: by("sha256", p256) },
    { pem: `before\n${pem(p256.publicKey, "spki")}`, signature: by("sha256", p256) },
    { key: spki(ed25519.publicKey), signature: new Uint8Array(64) },
    { key: bytes("no key"), signature: by("sha256", p256), hash: "md5" },
    { key: ec, pem: pem(p256.publicKey, "spki"), signature: by("sha256", p256) },
    { signature: by("sha256", p256) },
  ];
  const signings: (Signing & { random?: boolean })[] = [
    { key: pkcs8(rsa.privateKey) },
    { key: pkcs8(rsa.privateKey), hash: "SHA512" },
    { key: pkcs8(rsa.privateKey), hash: "sha1", text: "" },
    { key: pkcs8(rsa.privateKey), hash: "md5" },
    { key: pkcs8(rsa.privateKey), hash: "" },
    { pem: pem(rsa.privateKey, "pkcs8") },
    { pem: pem(rsa.privateKey, "pkcs1") },
    { key: rsa.privateKey.export({ format: "der", type: "pkcs1" }) },
    { key: pkcs8(p256.privateKey), random: true },
    { pem: pem(p256.privateKey, "sec1"), random: true },
    { key: pkcs8(ed25519.privateKey) },
    { key: spki(rsa.publicKey) },
    { pem: pem(rsa.publicKey, "spki") },
    { key: bytes("no key") },
    { key: bytes("no key"), hash: "md5" },
    { pem: "no pem" },
    { key: pkcs8(rsa.privateKey), pem: pem(rsa.privateKey, "pkcs8") },
    {},
  ];
  const hex = (data: Uint8Array): string => Buffer.from(data).toString("hex");
  return [...verifications.map((one) => `v${hex(encodeVerification(one))}`), ...signings.map((one) => `${one.random ? "r" : "s"}${hex(encodeSigning(one))}`)].join("\n");
}
