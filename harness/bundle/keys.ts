/** Keys that sign bundles: ECDSA P-256, which Envoy can verify, as PEM. */
import { createHash, createPrivateKey, createPublicKey, generateKeyPairSync, type KeyObject } from "node:crypto";
import { closeSync, existsSync, openSync, readFileSync, statSync, writeSync } from "node:fs";
import { fail, type Finding, type Position } from "../errors.ts";

const EXPECTED = "an ECDSA key on the curve P-256 (prime256v1), as PEM";

/** @throws SelvedgeError when it isn't there or of another kind */
export function readPrivateKey(file: string): { key: KeyObject; findings: Finding[] } {
  const pem = read(file, "a private key to sign with: `selvedge bundle keygen --key FILE` makes one");
  let key: KeyObject;
  try {
    key = createPrivateKey(pem);
  } catch (error) {
    return fail("bundle-key-unreadable", "this is no private key", { where: { file }, found: (error as Error).message, expected: EXPECTED });
  }
  requireP256(key, { file });
  const exposed = process.platform !== "win32" && (statSync(file).mode & 0o077) !== 0;
  const finding: Finding = { code: "bundle-key-exposed", severity: "warning", message: "others than its owner may use this private key", where: { file }, fix: `chmod 600 ${file}` };
  return { key, findings: exposed ? [finding] : [] };
}

/** @throws SelvedgeError when it isn't there, of another kind, or private */
export function readPublicKey(file: string): KeyObject {
  return parsePublicKey(read(file, "the public key of who signs"), { file });
}

/** The same of a text. @param where it stands */
export function parsePublicKey(pem: string, where: Position): KeyObject {
  if (pem.includes("PRIVATE KEY")) fail("bundle-key-private", "this is a private key, and a node needs the public one", { where, fix: `openssl pkey -in ${where.file} -pubout` });
  // Whoever reads on would find other keys than the one that is trusted.
  const blocks = pem.split("-----BEGIN ").length - 1;
  if (blocks > 1) fail("bundle-key-unreadable", "this is more than one key", { where, found: `${blocks} blocks of PEM`, expected: EXPECTED });
  let key: KeyObject;
  try {
    key = createPublicKey(pem);
  } catch (error) {
    return fail("bundle-key-unreadable", "this is no public key", { where, found: (error as Error).message, expected: EXPECTED });
  }
  requireP256(key, where);
  return key;
}

/** As it stands in a filter's configuration: base64 of the SubjectPublicKeyInfo in DER. */
export function encodePublicKey(key: KeyObject): string {
  return key.export({ type: "spki", format: "der" }).toString("base64");
}

/** A hint for people about who signed: the start of the public key's SHA-256. */
export function keyId(key: KeyObject): string {
  const spki = (key.type === "private" ? createPublicKey(key) : key).export({ type: "spki", format: "der" });
  return createHash("sha256").update(spki).digest("hex").slice(0, 16);
}

/** Writes a new pair: the private key at `file`, for its owner alone, and the public one beside it. Overwrites nothing. */
export function generateKeys(file: string): { privateKey: string; publicKey: string } {
  const publicFile = `${file.replace(/\.pem$/, "")}.pub.pem`;
  for (const each of [file, publicFile]) {
    if (existsSync(each)) fail("bundle-key-exists", "there is a key already", { where: { file: each }, fix: "choose another name, or move it away first" });
  }
  const pair = generateKeyPairSync("ec", { namedCurve: "prime256v1" });
  write(file, pair.privateKey.export({ type: "pkcs8", format: "pem" }).toString(), 0o600);
  write(publicFile, pair.publicKey.export({ type: "spki", format: "pem" }).toString(), 0o644);
  return { privateKey: file, publicKey: publicFile };
}

function write(file: string, text: string, mode: number): void {
  const handle = openSync(file, "wx", mode);
  try {
    writeSync(handle, text);
  } finally {
    closeSync(handle);
  }
}

function read(file: string, expected: string): string {
  try {
    return readFileSync(file, "utf8");
  } catch (error) {
    return fail("bundle-key-unreadable", `the key can't be read: ${(error as Error).message}`, { where: { file }, expected });
  }
}

function requireP256(key: KeyObject, where: Position): void {
  const curve = key.asymmetricKeyDetails?.namedCurve;
  if (key.asymmetricKeyType === "ec" && curve === "prime256v1") return;
  fail("bundle-key-type", "bundles aren't signed with a key of this kind", { where, found: curve ?? key.asymmetricKeyType, expected: EXPECTED });
}
