/** Makes X.509 certificates for a demo: an authority, and workloads' certificates as SPIFFE's X509-SVID says. No files. */
import "reflect-metadata";
import { randomBytes, webcrypto } from "node:crypto";
import * as x509 from "@peculiar/x509";

/** By which our own certificates are known. */
export const ORGANIZATION = "Selvedge demo";

const ALGORITHM = { name: "ECDSA", namedCurve: "P-256", hash: "SHA-256" };
const { subtle } = webcrypto;
x509.cryptoProvider.set(webcrypto);

/** Clocks differ: a certificate is valid from a little before it was made. */
const SKEW_MS = 5 * 60_000;

/** PEM texts: a certificate and its key (PKCS #8). */
export interface Credential {
  certificate: string;
  key: string;
}

export interface Subject {
  commonName: string;
  /** `spiffe://…`: the one URI SAN. */
  spiffeId: string;
  dnsNames?: string[];
  ipAddresses?: string[];
}

/** A self-signed authority of one trust domain that may sign leaves only. */
export async function createAuthority(trustDomain: string, validMs: number): Promise<Credential> {
  const keys = await generateKeys();
  const certificate = await x509.X509CertificateGenerator.createSelfSigned({
    ...validity(validMs),
    name: subjectName(`Selvedge demo CA of ${trustDomain}`),
    keys,
    signingAlgorithm: ALGORITHM,
    extensions: [
      new x509.BasicConstraintsExtension(true, 0, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.keyCertSign | x509.KeyUsageFlags.cRLSign, true),
      new x509.SubjectAlternativeNameExtension([{ type: "url", value: `spiffe://${trustDomain}` }]),
      await x509.SubjectKeyIdentifierExtension.create(keys.publicKey),
    ],
  });
  return { certificate: pem(certificate), key: await exportKey(keys.privateKey) };
}

/** A leaf certificate for both ends of a connection, signed by `authority`. */
export async function issue(authority: Credential, subject: Subject, validMs: number): Promise<Credential> {
  const issuer = new x509.X509Certificate(authority.certificate);
  const keys = await generateKeys();
  const certificate = await x509.X509CertificateGenerator.create({
    ...validity(validMs, issuer.notAfter),
    subject: subjectName(subject.commonName),
    issuer: issuer.subjectName,
    publicKey: keys.publicKey,
    signingKey: await importKey(authority.key),
    signingAlgorithm: ALGORITHM,
    extensions: [
      new x509.BasicConstraintsExtension(false, undefined, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.digitalSignature, true),
      new x509.ExtendedKeyUsageExtension([x509.ExtendedKeyUsage.serverAuth, x509.ExtendedKeyUsage.clientAuth]),
      new x509.SubjectAlternativeNameExtension([
        { type: "url", value: subject.spiffeId },
        ...(subject.dnsNames ?? []).map((value) => ({ type: "dns" as const, value })),
        ...(subject.ipAddresses ?? []).map((value) => ({ type: "ip" as const, value })),
      ]),
      await x509.SubjectKeyIdentifierExtension.create(keys.publicKey),
      await x509.AuthorityKeyIdentifierExtension.create(issuer.publicKey),
    ],
  });
  return { certificate: pem(certificate), key: await exportKey(keys.privateKey) };
}

function subjectName(commonName: string): x509.Name {
  return new x509.Name([{ O: [ORGANIZATION] }, { CN: [commonName.slice(0, 64)] }]);
}

function validity(validMs: number, notAfterMost?: Date) {
  const now = Date.now();
  return {
    // Positive, and short enough, whatever the random bytes are.
    serialNumber: `01${randomBytes(15).toString("hex")}`,
    notBefore: new Date(now - SKEW_MS),
    notAfter: new Date(Math.min(now + validMs, notAfterMost?.getTime() ?? Infinity)),
  };
}

function generateKeys(): Promise<webcrypto.CryptoKeyPair> {
  return subtle.generateKey(ALGORITHM, true, ["sign", "verify"]);
}

async function exportKey(key: webcrypto.CryptoKey): Promise<string> {
  return `${x509.PemConverter.encode(await subtle.exportKey("pkcs8", key), "PRIVATE KEY")}\n`;
}

function importKey(text: string): Promise<webcrypto.CryptoKey> {
  const [der] = x509.PemConverter.decode(text);
  return subtle.importKey("pkcs8", der!, ALGORITHM, false, ["sign"]);
}

function pem(certificate: x509.X509Certificate): string {
  return `${certificate.toString("pem")}\n`;
}
