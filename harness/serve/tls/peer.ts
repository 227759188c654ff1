/** Who is at the other end, from its certificate. */
import type { X509Certificate } from "node:crypto";

export interface Names {
  uri: string[];
  dns: string[];
}

/** Node's rendering of one name: `URI:spiffe://…`, quoted as JSON where a character could be taken for a separator. */
const NAME = /([A-Za-z ]+):("(?:[^"\\]|\\.)*"|[^,"]*)(?:, |$)/y;

/**
 * A certificate's alternative names as Node prints them.
 *
 * @throws Error for a text that isn't understood to its end: nobody's identity is guessed
 */
export function subjectAltNames(text: string | undefined): Names {
  const names: Names = { uri: [], dns: [] };
  NAME.lastIndex = 0;
  while (text !== undefined && NAME.lastIndex < text.length) {
    const at = NAME.lastIndex;
    const [, kind, value] = NAME.exec(text) ?? [];
    if (kind === undefined || value === undefined) throw new Error(`subject alternative names can't be read from: ${text.slice(at)}`);
    const plain = value.startsWith('"') ? (JSON.parse(value) as string) : value;
    if (kind === "URI") names.uri.push(plain);
    else if (kind === "DNS") names.dns.push(plain);
  }
  return names;
}

/** Node prints a subject line by line, the country first; RFC 2253 has it the other way round, on one line. */
export function rfc2253(subject: string | undefined): string {
  return (subject ?? "").split("\n").filter((line) => line !== "").reverse().join(",");
}

export interface Identity {
  uriSans: string[];
  dnsSans: string[];
  subject: string;
  certificateSha256: string;
}

export function identityOf(certificate: X509Certificate): Identity {
  const { uri, dns } = subjectAltNames(certificate.subjectAltName);
  return { uriSans: uri, dnsSans: dns, subject: rfc2253(certificate.subject), certificateSha256: certificate.fingerprint256.replaceAll(":", "").toLowerCase() };
}
