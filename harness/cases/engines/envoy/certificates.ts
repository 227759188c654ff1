/** Certificates for the TLS side of a run: one authority, one for the proxy, one for each identity that a case's client shows. */
import "reflect-metadata";
import { randomBytes, webcrypto } from "node:crypto";
import * as x509 from "@peculiar/x509";
import { createAuthority, issue, type Credential } from "../../../scenario/x509.ts";
import { SUBJECT } from "../common.ts";

const VALID_MS = 24 * 3_600_000;
const ALGORITHM = { name: "ECDSA", namedCurve: "P-256", hash: "SHA-256" };

export class Certificates {
  readonly #issued = new Map<string, Promise<Credential>>();
  /** Clients' keys are nobody's secret: one serves for all. */
  readonly #keys = webcrypto.subtle.generateKey(ALGORITHM, true, ["sign", "verify"]);

  private constructor(readonly authority: Credential, readonly server: Credential) {}

  static async create(): Promise<Certificates> {
    const authority = await createAuthority("cluster.local", VALID_MS);
    const server = await issue(authority, { commonName: "proxy", spiffeId: "spiffe://cluster.local/ns/edge/sa/proxy", dnsNames: ["example.test"], ipAddresses: ["127.0.0.1"] }, VALID_MS);
    return new Certificates(authority, server);
  }

  /** A client's, with these URI SANs: none, one, or the several that a valid X.509-SVID mustn't have. */
  client(uriSans: readonly string[]): Promise<Credential> {
    const key = JSON.stringify(uriSans);
    let credential = this.#issued.get(key);
    if (!credential) this.#issued.set(key, (credential = this.#issue(uriSans)));
    return credential;
  }

  async #issue(uriSans: readonly string[]): Promise<Credential> {
    const issuer = new x509.X509Certificate(this.authority.certificate);
    const keys = await this.#keys;
    const [authorityKey] = x509.PemConverter.decode(this.authority.key);
    const certificate = await x509.X509CertificateGenerator.create({
      serialNumber: `01${randomBytes(15).toString("hex")}`,
      notBefore: issuer.notBefore,
      notAfter: issuer.notAfter,
      subject: SUBJECT,
      issuer: issuer.subjectName,
      publicKey: keys.publicKey,
      signingKey: await webcrypto.subtle.importKey("pkcs8", authorityKey!, ALGORITHM, false, ["sign"]),
      signingAlgorithm: ALGORITHM,
      extensions: [
        new x509.BasicConstraintsExtension(false, undefined, true),
        new x509.KeyUsagesExtension(x509.KeyUsageFlags.digitalSignature, true),
        new x509.ExtendedKeyUsageExtension([x509.ExtendedKeyUsage.clientAuth]),
        ...(uriSans.length ? [new x509.SubjectAlternativeNameExtension(uriSans.map((value) => ({ type: "url" as const, value })))] : []),
      ],
    });
    const key = x509.PemConverter.encode(await webcrypto.subtle.exportKey("pkcs8", keys.privateKey), "PRIVATE KEY");
    return { certificate: `${certificate.toString("pem")}\n`, key: `${key}\n` };
  }
}
