/** Client certificates: policies on who calls need them to be asked for, and verified. */
import type { Report } from "../compose/report.ts";
import type { Path, Source } from "../compose/source.ts";
import { fieldsOf, typedOf, typeOf, type Fields } from "./fields.ts";
import type { Plugin } from "./plugin.ts";
import { IDENTITY, policiesOf } from "./settings.ts";

/** Whatever isn't surely plain text. */
export function hasTls(chain: Fields): boolean {
  return !["", "RawBuffer"].includes(typeOf(typedOf(fieldsOf(chain.transport_socket))));
}

export function lintTransport(chain: Fields, at: Path, plugins: Plugin[], source: Source, report: Report): void {
  if (!plugins.some((plugin) => IDENTITY.test(policiesOf(plugin)))) return;
  const socket = typedOf(fieldsOf(chain.transport_socket));
  const quic = typeOf(socket) === "QuicDownstreamTransport";
  const config: Fields = quic ? { "@type": "v3.DownstreamTlsContext", ...fieldsOf(socket.downstream_tls_context) } : socket;
  const path: Path = [...at, "transport_socket"];
  const inner: Path = [...path, "typed_config", ...(quic ? ["downstream_tls_context"] : [])];
  const fix = "require_client_certificate: true, and a validation_context with trusted_ca";
  if (typeOf(config) !== "DownstreamTlsContext") {
    report.warn("identity-without-mtls", source, path, "policies compare who calls, and this filter chain has no TLS: every caller is nobody", { fix });
    return;
  }
  const common = fieldsOf(config.common_tls_context);
  const validation = [common.validation_context, fieldsOf(common.combined_validation_context).default_validation_context].map(fieldsOf).find((each) => Object.keys(each).length > 0);
  const dynamic = common.validation_context_sds_secret_config !== undefined || fieldsOf(common.combined_validation_context).validation_context_sds_secret_config !== undefined;
  const where: Path = [...inner, "common_tls_context"];
  if (validation?.trust_chain_verification === "ACCEPT_UNTRUSTED") {
    report.error("certificates-unverified", source, [...where, "validation_context", "trust_chain_verification"], "certificates that nobody signed are accepted: a caller can be whoever it says", { fix: "remove ACCEPT_UNTRUSTED" });
  } else if (!dynamic && validation?.trusted_ca === undefined && config.require_client_certificate === true) {
    report.error("certificates-unverified", source, where, "client certificates are asked for and not verified: a caller can be whoever it says", { fix: "add validation_context: { trusted_ca: … }" });
  }
  if (config.require_client_certificate !== true) {
    report.warn("identity-without-mtls", source, [...inner, "require_client_certificate"], "policies compare who calls, and a caller may come without a certificate: then it is nobody, in no list", { fix });
  }
}
