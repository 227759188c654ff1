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
    ["a certificate that is not required", [["require_client_certificate: true", ""]], ["warning identity-without-mtls"]],
    ["certificates that nobody verifies", [[/\n *validation_context:\n.*/, ""]], ["error certificates-unverified"]],
    ["certificates of anybody", [["trusted_ca: {", "trust_chain_verification: ACCEPT_UNTRUSTED\n                  trusted_ca: {"]], ["error certificates-unverified"]],
    ["no TLS", [[/- transport_socket:[^]*?validation_context:\n.*\n {10}filters:/, "- filters:"]], ["warning identity-without-mtls"]],
    ["a script behind it", [[/(\n +)- name: envoy.filters.http.router/, '$1- name: script$1  typed_config: { "@type": type.googleapis.com/envoy.extensions.filters.http.lua.v3.Lua }$1- name: envoy.filters.http.router']], ["warning routing-after-authorization"]],
    ["an identity from a header that clients write", [['"identity": { "filterState": "selvedge.peer" }', '"identity": { "xfcc": true }'], ["normalize_path: true", "normalize_path: true\n                forward_client_cert_details: ALWAYS_FORWARD_ONLY"]], ["error xfcc-untrusted"]],
    ["CUSTOM that asks nobody", [['"strictPaths": true,', '"strictPaths": true, "custom": { "filterState": "selvedge_custom", "providers": ["ext"] },']], ["error custom-without-provider"]],
    ["CUSTOM that asks one of two", [['"strictPaths": true,', '"strictPaths": true, "custom": { "filterState": "selvedge_custom", "providers": ["ext", "other"] },'], ASKING], ["error custom-without-provider"]],
    ["nothing where CUSTOM asks one", [['"strictPaths": true,', '"strictPaths": true, "custom": { "filterState": "selvedge_custom", "providers": ["ext"] },'], ASKING], []],
    ["headers that are joined", [["static_resources:", "layered_runtime: { layers: [{ name: a, static_layer: { envoy.reloadable_features.match_headers_individually: false } }] }\nstatic_resources:"]], ["error headers-joined"]],
  ])("finds %s", (_, edits, expected) => {
    expect(codes(...edits)).toEqual(expected);
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
