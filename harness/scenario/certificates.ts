/** Puts a demo's certificates where its policies look for them; keeps those that still serve. */
import { X509Certificate, createPrivateKey } from "node:crypto";
import { chmodSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fail } from "../errors.ts";
import type { CertificatePlan, PlannedCertificate } from "./certificate-plan.ts";
import { withLock } from "./lock.ts";
import { createAuthority, issue, ORGANIZATION, type Credential, type Subject } from "./x509.ts";

const DAY_MS = 86_400_000;
/** SPIFFE's certificates are short-lived; a week lets a demo be shown twice without making new ones. */
const LEAF_VALID_MS = 7 * DAY_MS;
const AUTHORITY_VALID_MS = 30 * DAY_MS;
/** What ends within this time is made anew. */
const RENEW_MS = DAY_MS;

export interface IssuedCertificate {
  directory: string;
  /** Absent for a directory that holds only the authority's certificate. */
  spiffeId?: string;
  /** When it ends. */
  notAfter: Date;
  /** Made now; false: it was there and still serves. */
  issued: boolean;
}

/**
 * Makes what is missing, ends within a day, or no longer fits: tls.crt and tls.key (mode 0600) of every planned
 * certificate, and the authority's ca.crt beside them. Files are replaced by rename; two processes take turns.
 *
 * @throws SelvedgeError `certificate-foreign` where a certificate that Selvedge didn't make would be overwritten
 */
export async function issueCertificates(plan: CertificatePlan): Promise<IssuedCertificate[]> {
  for (const directory of [plan.authority, ...plan.certificates.map((each) => each.directory)]) refuseForeign(directory);
  makeDirectory(plan.authority);
  return withLock(join(plan.authority, ".lock"), async () => {
    const { authority, issued } = await ensureAuthority(plan);
    const results: IssuedCertificate[] = [{ directory: plan.authority, notAfter: expiry(authority.certificate), issued }];
    for (const planned of plan.certificates) results.push(await ensureLeaf(planned, authority));
    return results;
  });
}

async function ensureAuthority(plan: CertificatePlan): Promise<{ authority: Credential; issued: boolean }> {
  const present = readCredential(plan.authority);
  // A leaf must not outlive its authority, or it would be renewed again and again.
  const serves = present && remaining(present.certificate) > LEAF_VALID_MS + RENEW_MS && altNames(present.certificate).has(`URI:spiffe://${plan.trustDomain}`);
  const authority = serves ? present : await createAuthority(plan.trustDomain, AUTHORITY_VALID_MS);
  if (!serves) writeCredential(plan.authority, authority);
  writeAuthority(plan.authority, authority);
  return { authority, issued: !serves };
}

async function ensureLeaf({ directory, subject }: PlannedCertificate, authority: Credential): Promise<IssuedCertificate> {
  if (!subject) return { directory, notAfter: expiry(authority.certificate), issued: writeAuthority(directory, authority) };
  const present = readCredential(directory);
  const serves = present !== undefined && remaining(present.certificate) > RENEW_MS && fits(present.certificate, subject, authority);
  const credential = serves ? present : await issue(authority, subject, LEAF_VALID_MS);
  writeAuthority(directory, authority);
  if (!serves) writeCredential(directory, credential);
  return { directory, spiffeId: subject.spiffeId, notAfter: expiry(credential.certificate), issued: !serves };
}

/** The pair in a directory; undefined where a part is missing or the two don't belong together. */
export function readCredential(directory: string): Credential | undefined {
  try {
    const certificate = readFileSync(join(directory, "tls.crt"), "utf8");
    const key = readFileSync(join(directory, "tls.key"), "utf8");
    return new X509Certificate(certificate).checkPrivateKey(createPrivateKey(key)) ? { certificate, key } : undefined;
  } catch {
    return undefined; // whatever is wrong with it, a new one is made
  }
}

function fits(certificate: string, subject: Subject, authority: Credential): boolean {
  if (!new X509Certificate(certificate).verify(new X509Certificate(authority.certificate).publicKey)) return false;
  const wanted = [`URI:${subject.spiffeId}`, ...(subject.dnsNames ?? []).map((name) => `DNS:${name}`)];
  const present = altNames(certificate);
  const addresses = [...present].filter((name) => name.startsWith("IP Address:"));
  return wanted.every((name) => present.has(name)) && present.size === wanted.length + addresses.length && addresses.length === (subject.ipAddresses ?? []).length;
}

function altNames(certificate: string): Set<string> {
  return new Set((new X509Certificate(certificate).subjectAltName ?? "").split(", "));
}

function remaining(certificate: string): number {
  return expiry(certificate).getTime() - Date.now();
}

function expiry(certificate: string): Date {
  return new Date(new X509Certificate(certificate).validTo);
}

/** A certificate that somebody else made is never overwritten. */
function refuseForeign(directory: string): void {
  for (const name of ["tls.crt", "ca.crt"]) {
    const file = join(directory, name);
    let text: string;
    try {
      text = readFileSync(file, "utf8");
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === "ENOENT" || (error as NodeJS.ErrnoException).code === "ENOTDIR") continue;
      fail("certificate-unreadable", `cannot read ${name}: ${(error as Error).message}`, { where: { file } });
    }
    let issuer: string;
    try {
      issuer = new X509Certificate(text).issuer;
    } catch {
      issuer = "no certificate";
    }
    if (issuer.split("\n").includes(`O=${ORGANIZATION}`)) continue;
    fail("certificate-foreign", "a Scenario brings its own certificates, and this file is not one of them: it is left alone", {
      where: { file },
      found: issuer === "no certificate" ? "a file that is no certificate" : `issued by ${issuer.replaceAll("\n", ", ")}`,
      fix: "move the Scenario out of this folder, or the file out of this directory",
    });
  }
}

function writeCredential(directory: string, { certificate, key }: Credential): void {
  // Key first: a pair that doesn't match, after a crash in between, is made anew.
  replace(directory, "tls.key", key, 0o600);
  replace(directory, "tls.crt", certificate, 0o644);
}

/** True if it wasn't there already. */
function writeAuthority(directory: string, { certificate }: Credential): boolean {
  try {
    if (readFileSync(join(directory, "ca.crt"), "utf8") === certificate) return false;
  } catch {
    // Not there.
  }
  replace(directory, "ca.crt", certificate, 0o644);
  return true;
}

/** Synchronous, so that no signal comes in between and nothing half done stays behind. */
function replace(directory: string, name: string, text: string, mode: number): void {
  makeDirectory(directory);
  const temporary = join(directory, `.${name}.${process.pid}.new`);
  try {
    writeFileSync(temporary, text, { mode });
    chmodSync(temporary, mode);
    renameSync(temporary, join(directory, name));
  } catch (error) {
    rmSync(temporary, { force: true });
    fail("certificate-unwritable", `cannot write ${name}: ${(error as Error).message}`, { where: { file: join(directory, name) } });
  }
}

function makeDirectory(directory: string): void {
  try {
    mkdirSync(directory, { recursive: true, mode: 0o700 });
  } catch (error) {
    fail("certificate-unwritable", `cannot make a directory for certificates: ${(error as Error).message}`, { where: { file: directory }, fix: "copy the policies to a folder that you may write to" });
  }
}
