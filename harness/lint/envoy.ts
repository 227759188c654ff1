/**
 * Settings of an Envoy configuration that undo what an authorization filter in it decides. For people who mount a module into
 * a configuration of their own; what `selvedge compose` writes has none of this.
 */
import { readFileSync } from "node:fs";
import { LineCounter, parseAllDocuments, type Document } from "yaml";
import { Report, sortFindings } from "../compose/report.ts";
import { Source, type Path } from "../compose/source.ts";
import type { Finding } from "../errors.ts";
import { lintChain } from "./filter-chain.ts";
import { lintConnectionManager } from "./connection-manager.ts";
import { lintPlugin, pluginOf, type Plugin } from "./plugin.ts";
import { lintTransport } from "./transport.ts";
import { fieldsOf, listOf, typeOf, type Fields } from "./fields.ts";

/** Lints every Envoy bootstrap among these files; other documents are passed over. */
export function lintEnvoyFiles(files: string[]): { bootstraps: string[]; findings: Finding[] } {
  const report = new Report();
  const bootstraps: string[] = [];
  for (const file of files) {
    const lines = new LineCounter();
    const documents = parseAllDocuments(readFileSync(file, "utf8"), { lineCounter: lines, prettyErrors: false });
    for (const document of Array.isArray(documents) ? documents : []) {
      if (document.errors.length > 0) continue;
      const value = fieldsOf(document.toJS({ maxAliasCount: 100 }));
      if (!("static_resources" in value) || "kind" in value) continue;
      bootstraps.push(file);
      lintBootstrap(value, new Source(file, document as Document, lines), report);
    }
  }
  return { bootstraps, findings: sortFindings(report.findings) };
}

function lintBootstrap(bootstrap: Fields, source: Source, report: Report): void {
  lintRuntime(bootstrap, source, report);
  const listeners = listOf(fieldsOf(bootstrap.static_resources).listeners);
  listeners.forEach((listener, i) => {
    const at: Path = ["static_resources", "listeners", i];
    const chains = listOf(listener.filter_chains).map((chain, j): [Fields, Path] => [chain, [...at, "filter_chains", j]]);
    if (listener.default_filter_chain !== undefined) chains.push([fieldsOf(listener.default_filter_chain), [...at, "default_filter_chain"]]);
    for (const [chain, path] of chains) lintFilterChain(chain, path, source, report);
  });
}

function lintFilterChain(chain: Fields, at: Path, source: Source, report: Report): void {
  const network = listOf(chain.filters);
  network.forEach((filter, i) => {
    const config = fieldsOf(filter.typed_config);
    if (typeOf(config) !== "HttpConnectionManager") return;
    const path: Path = [...at, "filters", i, "typed_config"];
    const http = listOf(config.http_filters);
    const plugins = http.map((each, j) => pluginOf(each, j, [...path, "http_filters", j])).filter((each): each is Plugin => each !== undefined);
    const authorizing = plugins.filter((plugin) => plugin.authorizes);
    if (authorizing.length === 0) return;
    lintConnectionManager(config, path, authorizing, source, report);
    lintChain(http, authorizing, [...path, "http_filters"], source, report);
    lintTransport(chain, at, authorizing, source, report);
    for (const plugin of authorizing) lintPlugin(plugin, network, http, source, report);
  });
}

/** Header matchers that look at joined values let `a,b` past a rule on `b` (CVE-2026-26308). */
const INDIVIDUALLY = ["envoy.reloadable_features.match_headers_individually", "envoy.reloadable_features.rbac_match_headers_individually"];

function lintRuntime(bootstrap: Fields, source: Source, report: Report): void {
  listOf(fieldsOf(bootstrap.layered_runtime).layers).forEach((layer, i) => {
    const settings = fieldsOf(layer.static_layer);
    for (const guard of INDIVIDUALLY) {
      if (settings[guard] === false || settings[guard] === "false") {
        report.error("headers-joined", source, ["layered_runtime", "layers", i, "static_layer", guard], "repeated headers are compared as one joined text, so that a second value slips past a rule on it", { fix: "remove this setting", part: "key" });
      }
    }
  });
}
