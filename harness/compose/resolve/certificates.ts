/** Finds the PEM material that policies refer to, and checks it before Envoy would. */
import { createPrivateKey, X509Certificate } from "node:crypto";
import { readFileSync } from "node:fs";
import { dirname, isAbsolute, join } from "node:path";
import type { Resource } from "../load.ts";
import type { Report } from "../report.ts";
import type { CertificateRef } from "../schema/gateway.ts";
import type { Path } from "../source.ts";
import type { KeyPair, Pem } from "./model.ts";

/** A Secret or ConfigMap may stand for a directory that is mounted like one; relative to the YAML file. */
export const DIRECTORY = "selvedge.dev/directory";

type Carrier = Resource<"Secret"> | Resource<"ConfigMap">;

export class Certificates {
  readonly #carriers: Map<string, Carrier>;
  readonly #report: Report;
  readonly #readFiles: boolean;

  /** With `readFiles` false nothing on disk is looked at: files are named as they would be mounted. */
  constructor(secrets: Resource<"Secret">[], configMaps: Resource<"ConfigMap">[], report: Report, readFiles: boolean) {
    this.#carriers = new Map([...secrets, ...configMaps].map((each) => [`${each.kind} ${each.id}`, each as Carrier]));
    this.#report = report;
    this.#readFiles = readFiles;
  }

  /** tls.crt and tls.key of a Secret. */
  keyPair(from: Resource, path: Path, ref: CertificateRef): KeyPair | undefined {
    const carrier = this.#find(from, path, ref, ["Secret"]);
    if (!carrier) return undefined;
    const certificate = this.#item(carrier, "tls.crt", from, path);
    const key = this.#item(carrier, "tls.key", from, path);
    if (!certificate || !key) return undefined;
    if (!this.#readFiles && ("file" in certificate.pem || "file" in key.pem)) return { certificate: certificate.pem, key: key.pem };
    return this.#checkPair(carrier, certificate, key) ? { certificate: certificate.pem, key: key.pem } : undefined;
  }

  /** ca.crt of a ConfigMap or Secret. */
  authority(from: Resource, path: Path, ref: CertificateRef): Pem | undefined {
    const carrier = this.#find(from, path, ref, ["ConfigMap", "Secret"]);
    const item = carrier && this.#item(carrier, "ca.crt", from, path);
    if (!carrier || !item) return undefined;
    if (!this.#readFiles && "file" in item.pem) return item.pem;
    return this.#parse(carrier, item) ? item.pem : undefined;
  }

  #find(from: Resource, path: Path, ref: CertificateRef, kinds: ("Secret" | "ConfigMap")[]): Carrier | undefined {
    const kind = ref.kind ?? "Secret";
    if ((ref.group ?? "") !== "" || !(kinds as string[]).includes(kind)) {
      this.#report.error("reference-unsupported", from, path, "certificates come from core objects only", {
        found: `${ref.group ?? ""}/${kind}`,
        expected: kinds.map((each) => `kind: ${each}`).join(" or "),
      });
      return undefined;
    }
    const namespace = ref.namespace ?? from.namespace;
    if (namespace !== from.namespace) {
      this.#report.error("cross-namespace-reference", from, [...path, "namespace"], `${kind} ${namespace}/${ref.name} is in another namespace, which would need a ReferenceGrant`, {
        fix: `put the ${kind} into namespace ${from.namespace}: ReferenceGrants are not supported`,
      });
      return undefined;
    }
    const carrier = this.#carriers.get(`${kind} ${namespace}/${ref.name}`);
    if (!carrier) {
      this.#report.error("certificate-missing", from, [...path, "name"], `there is no ${kind} ${namespace}/${ref.name}`, {
        fix: `add the ${kind}, with data or with the annotation ${DIRECTORY}`,
      });
    }
    return carrier;
  }

  #item(carrier: Carrier, name: string, from: Resource, path: Path): Item | undefined {
    const directory = carrier.annotations[DIRECTORY];
    const inline = inlineText(carrier, name);
    if (directory !== undefined) {
      const where: Path = ["metadata", "annotations", DIRECTORY];
      const file = join(isAbsolute(directory) ? directory : join(dirname(carrier.source.file), directory), name);
      if (inline !== undefined) {
        this.#report.error("certificate-ambiguous", carrier, where, `${carrier.kind} ${carrier.id} has both data and a directory`, { fix: "keep one of the two" });
        return undefined;
      }
      if (!this.#readFiles) return { name, pem: { file }, text: "", where };
      try {
        return { name, pem: { file }, text: readFileSync(file, "utf8"), where };
      } catch (error) {
        const missing = (error as NodeJS.ErrnoException).code === "ENOENT";
        this.#report.error("certificate-missing", carrier, where, missing ? `there is no file ${file}` : `cannot read ${file}: ${(error as Error).message}`, {
          expected: `a directory with ${name}, as a mounted ${carrier.kind} has it`,
          fix: "put the file there; for a folder with a Scenario, `selvedge certs DIR` makes it",
        });
        return undefined;
      }
    }
    if (inline === undefined) {
      const { file, line } = carrier.at([]);
      this.#report.error("certificate-missing", from, path, `${carrier.kind} ${carrier.id} holds no ${name}`, {
        found: `${carrier.kind} at ${file}:${line}`,
        expected: `${name} in its data, or the annotation ${DIRECTORY}`,
      });
      return undefined;
    }
    return { name, pem: { inline: inline.text }, text: inline.text, where: inline.where };
  }

  #parse(carrier: Carrier, item: Item): X509Certificate[] | undefined {
    const blocks = item.text.match(/-----BEGIN CERTIFICATE-----[^]*?-----END CERTIFICATE-----/g) ?? [];
    try {
      if (blocks.length === 0) throw new Error("no PEM certificate in it");
      const certificates = blocks.map((block) => new X509Certificate(block));
      const expired = certificates.find((each) => Date.parse(each.validTo) < Date.now());
      if (expired) {
        this.#report.warn("certificate-expired", carrier, item.where, `${source(carrier, item)} expired on ${expired.validTo}`, {
          fix: "renew it: peers will refuse it",
        });
      }
      return certificates;
    } catch (error) {
      this.#report.error("certificate-invalid", carrier, item.where, `${source(carrier, item)} is no certificate: ${(error as Error).message}`, {
        expected: "PEM, -----BEGIN CERTIFICATE-----",
      });
      return undefined;
    }
  }

  #checkPair(carrier: Carrier, certificate: Item, key: Item): boolean {
    const chain = this.#parse(carrier, certificate);
    if (!chain) return false;
    try {
      const privateKey = createPrivateKey(key.text);
      if (chain[0]!.checkPrivateKey(privateKey)) return true;
      this.#report.error("certificate-invalid", carrier, key.where, `${source(carrier, key)} is not the key of ${source(carrier, certificate)}`);
    } catch {
      // The cause is left out: OpenSSL's texts say nothing to a reader, and a key must never be quoted.
      this.#report.error("certificate-invalid", carrier, key.where, `${source(carrier, key)} is no private key`, {
        expected: "an unencrypted key in PEM",
      });
    }
    return false;
  }
}

interface Item {
  name: string;
  pem: Pem;
  text: string;
  where: Path;
}

function inlineText(carrier: Carrier, name: string): { text: string; where: Path } | undefined {
  const value = carrier.value as { stringData?: Record<string, string>; data?: Record<string, string> };
  const plain = value.stringData?.[name];
  if (plain !== undefined) return { text: plain, where: ["stringData", name] };
  const data = value.data?.[name];
  if (data === undefined) return undefined;
  const text = carrier.kind === "Secret" ? Buffer.from(data, "base64").toString("utf8") : data;
  return { text, where: ["data", name] };
}

function source(carrier: Carrier, item: Item): string {
  return "file" in item.pem ? item.pem.file : `${item.name} of ${carrier.kind} ${carrier.id}`;
}
