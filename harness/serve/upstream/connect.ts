/** Connections to endpoints: plain or TLS, verified as the cluster's transport socket says. */
import { lookup } from "node:dns";
import { connect, isIP, type LookupFunction, type Socket } from "node:net";
import { checkServerIdentity, connect as connectTls, type ConnectionOptions, type PeerCertificate } from "node:tls";
import { milliseconds } from "../schema/common.ts";
import type { UpstreamTls } from "../schema/listener.ts";
import type { ClusterConfig } from "../schema/node.ts";
import { readSource, tlsVersion } from "../tls/files.ts";
import { subjectAltNames } from "../tls/peer.ts";
import type { Failure } from "./request.ts";

/** Marks errors that came before the connection stood. */
export class ConnectError extends Error {
  constructor(readonly failure: Failure) {
    super(failure.reason ?? failure.kind);
  }
}

export type Connector = (host: string, port: number, done: (error: ConnectError | null, socket?: Socket) => void) => Socket;

export function connector(config: ClusterConfig): Connector {
  const timeoutMs = milliseconds(config.connect_timeout);
  const tls = config.transport_socket && tlsOptions(config.transport_socket.typed_config);
  const keepAliveMs = (config.upstream_connection_options?.tcp_keepalive.keepalive_time ?? 0) * 1000;
  // Of a connection that isn't for requests, each side may end its own half.
  const allowHalfOpen = config.typed_extension_protocol_options === undefined;
  return (host, port, done) => {
    const options = { host, port, allowHalfOpen, noDelay: true, keepAlive: keepAliveMs > 0, keepAliveInitialDelay: keepAliveMs, ...(isIP(host) === 0 && { lookup: v4Preferred }) };
    const socket = tls ? connectTls({ ...options, ...tls }) : connect(options);
    const timer = setTimeout(() => finish(new ConnectError({ kind: "connect-timeout" })), timeoutMs);
    let finished = false;
    function finish(error: ConnectError | null): void {
      if (finished) return;
      finished = true;
      clearTimeout(timer);
      if (error) socket.destroy();
      done(error, error ? undefined : socket);
    }
    socket.once(tls ? "secureConnect" : "connect", () => finish(null));
    socket.on("error", (error: NodeJS.ErrnoException) => finish(new ConnectError({ kind: error.code === "ENOTFOUND" ? "no-host" : "connect", reason: error.message })));
    socket.once("close", () => finish(new ConnectError({ kind: "connect", reason: "closed" })));
    return socket;
  };
}

function tlsOptions(tls: UpstreamTls): ConnectionOptions {
  const { common_tls_context: common, sni } = tls;
  const [pair] = common.tls_certificates ?? [];
  const names = common.validation_context.match_typed_subject_alt_names;
  return {
    servername: sni,
    ca: readSource(common.validation_context.trusted_ca),
    allowPartialTrustChain: true,
    minVersion: tlsVersion(common.tls_params.tls_minimum_protocol_version),
    maxVersion: tlsVersion(common.tls_params.tls_maximum_protocol_version),
    ALPNProtocols: common.alpn_protocols,
    rejectUnauthorized: true,
    checkServerIdentity: (_, certificate) => checkNames(certificate, names),
    ...(pair && { cert: readSource(pair.certificate_chain), key: readSource(pair.private_key) }),
  } as ConnectionOptions;
}

/** One of the names must be the certificate's; a DNS name also through the certificate's wildcard. */
function checkNames(certificate: PeerCertificate, names: UpstreamTls["common_tls_context"]["validation_context"]["match_typed_subject_alt_names"]): Error | undefined {
  const found = subjectAltNames(certificate.subjectaltname);
  const matches = names.some(({ san_type, matcher: { exact } }) =>
    san_type === "URI" ? found.uri.includes(exact) : found.dns.length > 0 && checkServerIdentity(exact, { ...certificate, subject: {} } as PeerCertificate) === undefined,
  );
  return matches ? undefined : new Error("verify SAN list");
}

/** Envoy's V4_PREFERRED: an IPv4 address where the name has one. */
const v4Preferred: LookupFunction = (hostname, options, callback) => {
  lookup(hostname, { ...options, family: 4 }, (error, address, family) => {
    if (error) lookup(hostname, { ...options, family: 6 }, callback);
    else callback(null, address as string, family);
  });
};
