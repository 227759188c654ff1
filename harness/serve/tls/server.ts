/** The TLS settings of one filter chain, for Node's server. */
import { X509Certificate } from "node:crypto";
import { constants } from "node:crypto";
import { createSecureContext, type SecureContext, type SecureContextOptions, type TlsOptions } from "node:tls";
import { fail } from "../../errors.ts";
import type { DownstreamTls } from "../schema/listener.ts";
import { readSource, tlsVersion } from "./files.ts";
import { subjectAltNames } from "./peer.ts";

interface Pair {
  cert: string;
  key: string;
  names: string[];
  type: string;
}

export interface ServerTls {
  options: TlsOptions;
  /** A client without a certificate is refused. */
  requiresCertificate: boolean;
  /** A client's certificate is asked for, and must be good where there is one. */
  verifies: boolean;
}

export function serverTls(tls: DownstreamTls): ServerTls {
  const { common_tls_context: common, require_client_certificate: requiresCertificate } = tls;
  const pairs = common.tls_certificates.map(({ certificate_chain, private_key }) => readPair(readSource(certificate_chain), readSource(private_key)));
  const ca = common.validation_context && readSource(common.validation_context.trusted_ca);
  if (requiresCertificate && ca === undefined) fail("host-engine-unsupported", "a client certificate that nobody verifies can't be required");
  const base: SecureContextOptions & { allowPartialTrustChain?: boolean } = {
    minVersion: tlsVersion(common.tls_params.tls_minimum_protocol_version),
    // Each connection shows who it is: no identity is taken from an earlier one.
    secureOptions: constants.SSL_OP_NO_TICKET,
    ...(ca !== undefined && { ca, allowPartialTrustChain: true }),
  };
  const contexts = new Map<string, SecureContext>();
  const contextFor = (name: string): SecureContext => {
    const chosen = certificatesFor(pairs, name);
    const key = chosen.map((pair) => pairs.indexOf(pair)).join();
    let context = contexts.get(key);
    if (!context) contexts.set(key, (context = createSecureContext({ ...base, ...material(chosen) })));
    return context;
  };
  return {
    requiresCertificate,
    verifies: ca !== undefined,
    options: {
      ...base,
      ...material(certificatesFor(pairs, "")),
      ALPNProtocols: common.alpn_protocols,
      requestCert: ca !== undefined,
      rejectUnauthorized: requiresCertificate,
      ...(pairs.length > 1 && { SNICallback: (name: string, done: (error: Error | null, context?: SecureContext) => void) => done(null, contextFor(name.toLowerCase())) }),
    },
  };
}

function material(pairs: readonly Pair[]): Pick<SecureContextOptions, "cert" | "key"> {
  return { cert: pairs.map(({ cert }) => cert), key: pairs.map(({ key }) => key) };
}

function readPair(cert: string, key: string): Pair {
  const certificate = new X509Certificate(cert);
  const { dns } = subjectAltNames(certificate.subjectAltName);
  const common = /^CN=(.*)$/m.exec(certificate.subject)?.[1];
  return { cert, key, names: (dns.length > 0 || common === undefined ? dns : [common]).map((name) => name.toLowerCase()), type: certificate.publicKey.asymmetricKeyType ?? "" };
}

/** Those for the name, else through a wildcard, else all; of each kind of key the first. */
function certificatesFor(pairs: readonly Pair[], name: string): Pair[] {
  const wildcard = `*${name.slice(name.indexOf("."))}`;
  const exact = pairs.filter(({ names }) => names.includes(name));
  const fitting = exact.length > 0 ? exact : pairs.filter(({ names }) => name.includes(".") && names.includes(wildcard));
  const candidates = fitting.length > 0 ? fitting : pairs;
  return candidates.filter(({ type }, i) => candidates.findIndex((each) => each.type === type) === i);
}

/** The filter chain for a server name: its own, then a wildcard's (the longest first), then the one that takes any. */
export function chainFor<C>(chains: readonly { names: readonly string[] | undefined; chain: C }[], serverName: string | undefined): C | undefined {
  const named = (wanted: string): C | undefined => chains.find(({ names }) => names?.some((name) => name.toLowerCase() === wanted))?.chain;
  if (serverName !== undefined && serverName !== "") {
    const exact = named(serverName);
    if (exact !== undefined) return exact;
    for (let at = serverName.indexOf("."); at >= 0; at = serverName.indexOf(".", at + 1)) {
      const wild = named(`*${serverName.slice(at)}`);
      if (wild !== undefined) return wild;
    }
  }
  return chains.find(({ names }) => names === undefined)?.chain;
}
