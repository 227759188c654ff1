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
import { destinationsOf, lintDisabled } from "./routes.ts";
import { lintSettings } from "./settings.ts";
import { hasTls, lintTransport } from "./transport.ts";
import { fieldsOf, listOf, protoNames, typedOf, typeOf, type Fields } from "./fields.ts";

/** Lints every Envoy bootstrap among these files, and every file of listeners that one watches; other documents are passed over. */
export function lintEnvoyFiles(files: string[]): { bootstraps: string[]; findings: Finding[] } {
  const report = new Report();
  const bootstraps: string[] = [];
  for (const file of files) {
    const lines = new LineCounter();
    const documents = parseAllDocuments(readFileSync(file, "utf8"), { lineCounter: lines, prettyErrors: false });
    for (const document of Array.isArray(documents) ? documents : []) {
      if (document.errors.length > 0) continue;
      const value = fieldsOf(valueOf(document as Document));
      if ("kind" in value) continue;
      const source = new Source(file, document as Document, lines);
      if ("static_resources" in value || "dynamic_resources" in value) {
        bootstraps.push(file);
        lintRuntime(value, source, report);
        lintListeners(listOf(fieldsOf(value.static_resources).listeners), ["static_resources", "listeners"], source, report);
      } else lintListeners(listOf(value.resources).map((each) => (typeOf(each) === "Listener" ? each : {})), ["resources"], source, report);
    }
  }
  return { bootstraps, findings: sortFindings(report.findings) };
}

/** Nothing where aliases can't be resolved: loading the policies says so. */
function valueOf(document: Document): unknown {
  try {
    return protoNames(document.toJS({ maxAliasCount: 100 }));
  } catch {
    return undefined;
  }
}

function lintListeners(listeners: Fields[], base: Path, source: Source, report: Report): void {
  const chains: Chain[] = [];
  listeners.forEach((listener, i) => {
    const at: Path = [...base, i];
    const mine = listOf(listener.filter_chains).map((chain, j): [Fields, Path] => [chain, [...at, "filter_chains", j]]);
    if (listener.default_filter_chain !== undefined) mine.push([fieldsOf(listener.default_filter_chain), [...at, "default_filter_chain"]]);
    for (const [chain, path] of mine) chains.push({ chain, path, authorized: lintFilterChain(chain, path, source, report) });
  });
  lintMissing(chains, source, report);
}

interface Chain {
  chain: Fields;
  path: Path;
  authorized: boolean;
}

/** Chains without authorization that lead where others lead with it. */
function lintMissing(chains: Chain[], source: Source, report: Report): void {
  const guarded = new Set(chains.flatMap(({ chain, authorized }) => (authorized ? [...destinationsOf(chain)] : [])));
  for (const { chain, path, authorized } of chains) {
    const open = authorized ? undefined : [...destinationsOf(chain)].find((each) => guarded.has(each));
    if (open === undefined) continue;
    report.warn("authorization-missing", source, path, `this filter chain leads to ${open} without authorization, and another one with it: whoever connects here passes`, { fix: "mount the authorization filter here, too" });
  }
}

/** Does it authorize? */
function lintFilterChain(chain: Fields, at: Path, source: Source, report: Report): boolean {
  const network = listOf(chain.filters);
  const connection = pluginsOf(network, [...at, "filters"]);
  const tls = hasTls(chain);
  for (const plugin of connection) lintPlugin(plugin, tls, network.slice(0, plugin.index), [], source, report);
  if (connection.length > 0) lintTransport(chain, at, connection, source, report);
  let authorized = connection.length > 0;
  network.forEach((filter, i) => {
    const config = typedOf(filter);
    if (typeOf(config) !== "HttpConnectionManager") return;
    const path: Path = [...at, "filters", i, "typed_config"];
    const http = listOf(config.http_filters);
    const authorizing = pluginsOf(http, [...path, "http_filters"]);
    if (authorizing.length === 0) return;
    lintConnectionManager(config, path, authorizing, source, report);
    lintChain(http, authorizing, [...path, "http_filters"], source, report);
    lintUpgrades(config, path, source, report);
    lintTransport(chain, at, authorizing, source, report);
    for (const plugin of authorizing) {
      const ahead = http.slice(0, plugin.index);
      lintPlugin(plugin, tls, [...network, ...ahead], http.slice(plugin.index + 1), source, report);
      lintSettings(plugin, ahead, source, report);
      if (lintDisabled(plugin, config, path, source, report)) authorized = true;
    }
  });
  return authorized;
}

/** An upgrade with filters of its own goes by those, instead of by `http_filters`. */
function lintUpgrades(config: Fields, at: Path, source: Source, report: Report): void {
  listOf(config.upgrade_configs).forEach((upgrade, i) => {
    const filters = listOf(upgrade.filters);
    const path: Path = [...at, "upgrade_configs", i, "filters"];
    if (filters.length === 0 || pluginsOf(filters, path).some((plugin) => !plugin.disabled)) return;
    report.error("authorization-missing", source, path, `a request that asks for an upgrade to ${String(upgrade.upgrade_type)} goes by these filters, without authorization`, { fix: "remove them, so that http_filters are used, or mount the authorization filter here, too" });
  });
}

function pluginsOf(filters: Fields[], path: Path): Plugin[] {
  return filters.map((each, i) => pluginOf(each, i, path)).filter((each): each is Plugin => each?.authorizes === true);
}

/** Header matchers that look at joined values let `a,b` past a rule on `b` (CVE-2026-26308). */
const INDIVIDUALLY = ["envoy.reloadable_features.match_headers_individually", "envoy.reloadable_features.rbac_match_headers_individually"];

function lintRuntime(bootstrap: Fields, source: Source, report: Report): void {
  listOf(fieldsOf(bootstrap.layered_runtime).layers).forEach((layer, i) => {
    for (const guard of INDIVIDUALLY) {
      const path = settingIn(fieldsOf(layer.static_layer), guard.split("."));
      if (path !== undefined) {
        report.error("headers-joined", source, ["layered_runtime", "layers", i, "static_layer", ...path], "repeated headers are compared as one joined text, so that a second value slips past a rule on it", { fix: "remove this setting", part: "key" });
      }
    }
  });
}

/** Keys that lead to a setting that is off; it may be written nested, or with dots. */
function settingIn(layer: Fields, names: string[]): string[] | undefined {
  for (let n = names.length; n > 0; n--) {
    const key = names.slice(0, n).join(".");
    const value = layer[key];
    if (n === names.length) {
      if (value === false || value === "false") return [key];
    } else {
      const rest = settingIn(fieldsOf(value), names.slice(n));
      if (rest) return [key, ...rest];
    }
  }
  return undefined;
}
