/** Settings of the HTTP connection manager that policies on paths, headers and addresses stand on. */
import type { Report } from "../compose/report.ts";
import type { Path, Source } from "../compose/source.ts";
import { fieldsOf, type Fields } from "./fields.ts";
import type { Plugin } from "./plugin.ts";

export function lintConnectionManager(config: Fields, at: Path, plugins: Plugin[], source: Source, report: Report): void {
  const refuse = (code: string, path: Path, message: string, fix: string): void => report.error(code, source, [...at, ...path], message, { fix });
  if (config.normalize_path !== true) {
    refuse("normalisation-off", ["normalize_path"], "paths aren't normalised: /public/../admin is compared as it stands, and the backend serves /admin", "normalize_path: true");
  }
  if (config.merge_slashes !== true) {
    refuse("normalisation-off", ["merge_slashes"], "double slashes aren't merged: //admin slips past a rule on /admin", "merge_slashes: true");
  }
  if (!["REJECT_REQUEST", "UNESCAPE_AND_REDIRECT", "UNESCAPE_AND_FORWARD"].includes(String(config.path_with_escaped_slashes_action))) {
    refuse("normalisation-off", ["path_with_escaped_slashes_action"], "escaped slashes are kept: /public/..%2fadmin is compared as it stands", "path_with_escaped_slashes_action: UNESCAPE_AND_REDIRECT, or REJECT_REQUEST");
  }
  const common = fieldsOf(config.common_http_protocol_options);
  if (!["REJECT_REQUEST", "DROP_HEADER"].includes(String(common.headers_with_underscores_action))) {
    refuse("underscores-allowed", ["common_http_protocol_options", "headers_with_underscores_action"], "headers with underscores pass, and some backends take x_role for x-role: a rule on the one doesn't see the other", "common_http_protocol_options: { headers_with_underscores_action: REJECT_REQUEST }");
  }
  lintForwarded(config, at, plugins, source, report);
}

function lintForwarded(config: Fields, at: Path, plugins: Plugin[], source: Source, report: Report): void {
  const xfcc = plugins.some((plugin) => fieldsOf(plugin.settings.identity).xfcc !== undefined);
  const mode = String(config.forward_client_cert_details ?? "SANITIZE");
  if (xfcc && !["SANITIZE_SET", "APPEND_FORWARD"].includes(mode)) {
    report.error("xfcc-untrusted", source, [...at, "forward_client_cert_details"], `the identity is read from x-forwarded-client-cert, which ${mode === "SANITIZE" ? "is removed here" : "a client can write itself"}`, { found: mode, expected: "SANITIZE_SET" });
  }
  const remote = plugins.some((plugin) => /"(not)?[rR]emoteIpBlocks"|"remote\.ip"/.test(JSON.stringify(plugin.settings)));
  if (remote && config.use_remote_address !== true) {
    report.warn("forwarded-address", source, [...at, "use_remote_address"], "a policy compares the remote address, and X-Forwarded-For is believed from whoever connects", { fix: "use_remote_address: true, with xff_num_trusted_hops for the proxies in front" });
  }
}
