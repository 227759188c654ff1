import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { createAuthority, issue, type Credential } from "../../harness/scenario/x509.ts";
import { CALLER_ID, TRUST_DOMAIN } from "./requests.ts";

/** PEM texts for one run. */
export interface BenchCertificates {
  ca: string;
  client: Credential;
}

const VALID_MS = 24 * 60 * 60 * 1000;

/** Makes an authority and a certificate for each end, and writes what Envoy needs as `ca.crt`, `tls.crt` and `tls.key`. */
export async function makeCertificates(directory: string): Promise<BenchCertificates> {
  const authority = await createAuthority(TRUST_DOMAIN, VALID_MS);
  const server = await issue(authority, { commonName: "node", spiffeId: `spiffe://${TRUST_DOMAIN}/ns/edge/sa/node`, dnsNames: ["localhost"] }, VALID_MS);
  const client = await issue(authority, { commonName: "client", spiffeId: CALLER_ID }, VALID_MS);
  writeFileSync(join(directory, "ca.crt"), authority.certificate);
  writeFileSync(join(directory, "tls.crt"), server.certificate);
  writeFileSync(join(directory, "tls.key"), server.key, { mode: 0o600 });
  return { ca: authority.certificate, client };
}
