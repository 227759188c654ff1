/** TLS on both sides: terminated at a listener, started towards a Backend. */
import type { KeyPair, ListenerTls, Pem, UpstreamTls } from "../resolve/model.ts";
import { typed, type Config } from "./config.ts";
import type { Files } from "./files.ts";

const MINIMUM = "TLSv1_2";

export function downstreamTls(tls: ListenerTls, files: Files, alpn?: string[]): Config {
  const mutual = tls.clientAuthorities.length > 0;
  return {
    name: "envoy.transport_sockets.tls",
    typed_config: typed("envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext", {
      common_tls_context: {
        tls_params: { tls_minimum_protocol_version: MINIMUM },
        alpn_protocols: alpn,
        tls_certificates: tls.certificates.map((pair) => certificate(pair, files)),
        validation_context: mutual ? { trusted_ca: authorities(tls.clientAuthorities, files) } : undefined,
      },
      require_client_certificate: mutual,
    }),
  };
}

/** `protocol`: the ALPN name of what the cluster speaks, if it has one. */
export function upstreamTls(tls: UpstreamTls, client: KeyPair | undefined, protocol: "h2" | "http/1.1" | undefined, files: Files): Config {
  const names = tls.subjectAltNames.length > 0 ? tls.subjectAltNames : [{ type: "DNS" as const, value: tls.sni }];
  return {
    name: "envoy.transport_sockets.tls",
    typed_config: typed("envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext", {
      common_tls_context: {
        tls_params: { tls_minimum_protocol_version: MINIMUM, tls_maximum_protocol_version: "TLSv1_3" },
        alpn_protocols: protocol && [protocol],
        tls_certificates: client ? [certificate(client, files)] : undefined,
        validation_context: {
          trusted_ca: authorities(tls.authorities, files),
          match_typed_subject_alt_names: names.map(({ type, value }) => ({ san_type: type, matcher: { exact: value } })),
        },
      },
      sni: tls.sni,
    }),
  };
}

function certificate(pair: KeyPair, files: Files): Config {
  return { certificate_chain: files.source(pair.certificate), private_key: files.source(pair.key) };
}

function authorities(pems: Pem[], files: Files): Config {
  return pems.length === 1 ? files.source(pems[0]!) : { inline_string: pems.map((pem) => files.text(pem)).join("\n") };
}
