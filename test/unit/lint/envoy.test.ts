/** What `selvedge check` says about an Envoy configuration that mounts a filter of ours. */
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { lintEnvoyFiles } from "../../../harness/lint/index.ts";
import { temporaryDirectory } from "../../../harness/tempdir.ts";

const scratch = temporaryDirectory("lint");
afterAll(() => scratch.remove());
const GOOD = readFileSync("filters/authz/envoy.yaml", "utf8");

/** Puts an ext_authz filter, behind a matcher, before the router. */
const ASKING: [RegExp, string] = [/(\n +)- name: envoy.filters.http.router/, '$1- name: ext$1  typed_config: { "@type": type.googleapis.com/envoy.extensions.common.matching.v3.ExtensionWithMatcher, extension_config: { name: ext, typed_config: { "@type": type.googleapis.com/envoy.extensions.filters.http.ext_authz.v3.ExtAuthz } } }$1- name: envoy.filters.http.router'];

/** Codes for the example after some edits, each of which must change it. */
function codes(...edits: [string | RegExp, string][]): string[] {
  let text = GOOD;
  for (const [what, by] of edits) {
    const next = text.replace(what, by);
    expect(next, String(what)).not.toBe(text);
    text = next;
  }
  const file = join(scratch.path, "envoy.yaml");
  writeFileSync(file, text);
  return lintEnvoyFiles([file]).findings.map(({ severity, code }) => `${severity} ${code}`);
}

describe("lint of an Envoy configuration", () => {
  it.each(["filters/authz/envoy.yaml", "filters/canary/envoy.yaml", "filters/telemetry/envoy.yaml", "envoy-configs/edge/envoy.yaml"])("has nothing to say about %s", (file) => {
    expect(lintEnvoyFiles([file])).toEqual({ bootstraps: [file], findings: [] });
  });

  it.each<[string, [string | RegExp, string][], string[]]>([
    ["normalisation that is off", [["normalize_path: true", "normalize_path: false"]], ["error normalisation-off"]],
    ["normalisation that isn't mentioned", [["normalize_path: true", ""]], ["error normalisation-off"]],
    ["double slashes", [["merge_slashes: true", ""]], ["error normalisation-off"]],
    ["escaped slashes", [["UNESCAPE_AND_REDIRECT", "KEEP_UNCHANGED"]], ["error normalisation-off"]],
    ["underscores in headers", [[/common_http_protocol_options: .*/, ""]], ["error underscores-allowed"]],
    ["a filter that fails open", [["FAIL_RELOAD", "FAIL_OPEN"]], ["error authorization-fails-open"]],
    ["an identity that nobody sets", [["object_key: selvedge.peer", "object_key: selvedge.other"]], ["error identity-source-missing"]],
    ["an identity that is a subject", [["%DOWNSTREAM_PEER_URI_SAN%", "%DOWNSTREAM_PEER_SUBJECT%"]], ["warning identity-source-other"]],
    ["an address that a client can write", [["%DOWNSTREAM_DIRECT_REMOTE_ADDRESS_WITHOUT_PORT%", "%DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT%"]], ["warning identity-source-other"]],
    ["an upgrade that goes by filters of its own", [["normalize_path: true", 'normalize_path: true\n                upgrade_configs: [{ upgrade_type: websocket, filters: [{ name: envoy.filters.http.router, typed_config: { "@type": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router } }] }]']], ["error authorization-missing"]],
    ["nothing in an upgrade that goes by the same filters", [["normalize_path: true", "normalize_path: true\n                upgrade_configs: [{ upgrade_type: websocket }]"]], []],
    ["an identity that nobody sets, where nobody can have one", [[/- transport_socket:[^]*?validation_context:\n.*\n {10}filters:/, "- filters:"], ["object_key: selvedge.peer", "object_key: selvedge.other"]], ["warning identity-without-mtls"]],
    ["a certificate that is not required", [["require_client_certificate: true", ""]], ["warning identity-without-mtls"]],
    ["certificates that nobody verifies", [[/\n *validation_context:\n.*/, ""]], ["error certificates-unverified"]],
    ["certificates of anybody", [["trusted_ca: {", "trust_chain_verification: ACCEPT_UNTRUSTED\n                  trusted_ca: {"]], ["error certificates-unverified"]],
    ["no TLS", [[/- transport_socket:[^]*?validation_context:\n.*\n {10}filters:/, "- filters:"]], ["warning identity-without-mtls"]],
    ["a script behind it", [[/(\n +)- name: envoy.filters.http.router/, '$1- name: script$1  typed_config: { "@type": type.googleapis.com/envoy.extensions.filters.http.lua.v3.Lua }$1- name: envoy.filters.http.router']], ["warning routing-after-authorization"]],
    ["an identity from a header that clients write", [['"identity": { "filterState": "selvedge.peer" }', '"identity": { "xfcc": true }'], ["normalize_path: true", "normalize_path: true\n                forward_client_cert_details: ALWAYS_FORWARD_ONLY"]], ["error xfcc-untrusted"]],
    ["CUSTOM that asks nobody", [['"strictPaths": true,', '"strictPaths": true, "custom": { "filterState": "selvedge_custom", "providers": ["ext"] },']], ["error custom-without-provider"]],
    ["CUSTOM that asks one of two", [['"strictPaths": true,', '"strictPaths": true, "custom": { "filterState": "selvedge_custom", "providers": ["ext", "other"] },'], ASKING], ["error custom-without-provider"]],
    ["nothing where CUSTOM asks one", [['"strictPaths": true,', '"strictPaths": true, "custom": { "filterState": "selvedge_custom", "providers": ["ext"] },'], ASKING], []],
    ["a filter that is off", [["- name: selvedge.authz\n", "- name: selvedge.authz\n                    disabled: true\n"]], ["error authorization-disabled"]],
    ["a filter that is off for a route", [["match: { prefix: / }", "match: { prefix: / }\n                          typed_per_filter_config: { selvedge.authz: { '@type': type.googleapis.com/envoy.config.route.v3.FilterConfig, disabled: true } }"]], ["warning authorization-disabled"]],
    ["a token that changes the route", [[/(\n +)- name: envoy.filters.http.router/, '$1- name: jwt$1  typed_config: { "@type": type.googleapis.com/envoy.extensions.filters.http.jwt_authn.v3.JwtAuthentication, providers: { a: { clear_route_cache: true } } }$1- name: envoy.filters.http.router']], ["warning routing-after-authorization"]],
    ["a script behind a matcher", [[/(\n +)- name: envoy.filters.http.router/, '$1- name: m$1  typed_config: { "@type": x.ExtensionWithMatcher, extension_config: { name: script, typed_config: { "@type": x.Lua } } }$1- name: envoy.filters.http.router']], ["warning routing-after-authorization"]],
    ["a script that is discovered", [[/(\n +)- name: envoy.filters.http.router/, '$1- { name: s, config_discovery: { type_urls: [type.googleapis.com/envoy.extensions.filters.http.lua.v3.Lua] } }$1- name: envoy.filters.http.router']], ["warning routing-after-authorization"]],
    ["paths that are compared as they stand", [['"strictPaths": true,', ""]], ["warning strict-paths-off"]],
    ["tokens that nobody verifies", [['"namespaces": ["dev"]', '"notRequestPrincipals": ["*"]']], ["warning token-source-missing"]],
    ["claims that nobody verified", [['"namespaces": ["dev"]', '"notRequestPrincipals": ["*"]'], ["- name: selvedge.authz\n", '- { name: jwt, typed_config: { "@type": x.JwtAuthentication, providers: { a: { payload_in_metadata: payload } }, rules: [{ requires: { extract_only_without_validation: {} } }] } }\n                  - name: selvedge.authz\n']], ["error token-unverified"]],
    ["field names in the other spelling", [["normalize_path: true", "normalizePath: false"], ["failure_policy: FAIL_RELOAD", "failurePolicy: FAIL_OPEN"]], ["error normalisation-off", "error authorization-fails-open"]],
    ["headers that are joined, nested", [["static_resources:", "layered_runtime: { layers: [{ name: a, static_layer: { envoy: { reloadable_features: { rbac_match_headers_individually: false } } } }] }\nstatic_resources:"]], ["error headers-joined"]],
    ["headers that are joined", [["static_resources:", "layered_runtime: { layers: [{ name: a, static_layer: { envoy.reloadable_features.match_headers_individually: false } }] }\nstatic_resources:"]], ["error headers-joined"]],
  ])("finds %s", (_, edits, expected) => {
    expect(codes(...edits)).toEqual(expected);
  });

  /** One listener with this filter chain, and another that leads to the same cluster. */
  const two = (chain: string, other: string): string[] => {
    const file = join(scratch.path, "two.yaml");
    writeFileSync(file, `static_resources: { listeners: [{ filter_chains: [{ filters: [${chain}] }] }, { filter_chains: [{ filters: [${other}] }] }] }`);
    return lintEnvoyFiles([file]).findings.map(({ code }) => code);
  };
  const http = (filters: string, cluster: string): string => `{ typed_config: { "@type": x.HttpConnectionManager, normalizePath: true, mergeSlashes: true, pathWithEscapedSlashesAction: REJECT_REQUEST, commonHttpProtocolOptions: { headersWithUnderscoresAction: REJECT_REQUEST }, http_filters: [${filters}], route_config: { virtual_hosts: [{ routes: [{ route: { cluster: ${cluster} } }] }] } } }`;
  const mounted = '{ name: a, typed_config: { "@type": x.Wasm, config: { root_id: authz, capability_restriction_config: {}, configuration: { value: \'{"policies":[]}\' } } } }';

  it("passes over a document whose aliases can't be resolved", () => {
    const file = join(scratch.path, "aliases.yaml");
    const levels = [..."abcdefgh"].map((name, i) => `${String.fromCharCode(name.charCodeAt(0) + 1)}: &${String.fromCharCode(name.charCodeAt(0) + 1)} [${Array.from({ length: 9 }, () => `*${"abcdefgh"[i]}`).join(", ")}]`);
    writeFileSync(file, ["a: &a [x, x, x, x, x, x, x, x, x]", ...levels, ""].join("\n"));
    expect(lintEnvoyFiles([file])).toEqual({ bootstraps: [], findings: [] });
  });

  it("finds a way around authorization, and only where it leads to the same place", () => {
    expect(two(http(mounted, "a"), http("", "a"))).toEqual(["authorization-missing"]);
    expect(two(http(mounted, "a"), '{ typed_config: { "@type": x.TcpProxy, cluster: a } }')).toEqual(["authorization-missing"]);
    expect(two(http(mounted, "a"), http("", "b"))).toEqual([]);
    expect(two(http(mounted, "a"), http(mounted, "a"))).toEqual([]);
  });

  it("judges filters of connections, QUIC's TLS, and files of listeners", () => {
    expect(two(mounted.replace("root_id: authz", "root_id: authz, fail_open: true"), "")).toEqual(["authorization-fails-open"]);
    const file = join(scratch.path, "listeners.yaml");
    const tls = "{ require_client_certificate: true, common_tls_context: { validation_context: { trusted_ca: {} } } }";
    const chain = `{ transport_socket: { typed_config: { "@type": x.QuicDownstreamTransport, downstream_tls_context: ${tls} } }, filters: [${http(mounted.replace("[]", '[{"namespaces":["a"]}]').replace('{"p', '{"identity":{"filterState":"k"},"p'), "a")}] }`;
    writeFileSync(file, `resources: [{ "@type": type.googleapis.com/envoy.config.listener.v3.Listener, filter_chains: [${chain}] }]`);
    const { bootstraps, findings } = lintEnvoyFiles([file]);
    expect([bootstraps, findings.map(({ code }) => code)]).toEqual([[], ["identity-source-missing"]]);
  });

  it("says where", () => {
    const file = join(scratch.path, "place.yaml");
    writeFileSync(file, GOOD.replace("normalize_path: true", "normalize_path: false"));
    const line = GOOD.split("\n").findIndex((each) => each.includes("normalize_path: true")) + 1;
    expect(lintEnvoyFiles([file]).findings[0]!.where).toEqual({ file, line, col: 33 });
  });

  it("passes over what is no Envoy configuration, or has no filter of ours", () => {
    const file = join(scratch.path, "other.yaml");
    writeFileSync(file, "static_resources: { listeners: [{ filter_chains: [{ filters: [{ typed_config: { '@type': x.HttpConnectionManager } }] }] }] }\n---\n- 1\n---\n: :\n");
    expect(lintEnvoyFiles([file]).findings).toEqual([]);
  });
});
