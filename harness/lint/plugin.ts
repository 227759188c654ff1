/** A Wasm filter of ours in an Envoy configuration: how it fails, and where its identity comes from. */
import { basename } from "node:path";
import type { Report } from "../compose/report.ts";
import type { Path, Source } from "../compose/source.ts";
import { fieldsOf, listOf, typeOf, type Fields } from "./fields.ts";

export interface Plugin {
  /** Among the HTTP filters. */
  index: number;
  path: Path;
  config: Fields;
  /** One of Selvedge's own. */
  known: boolean;
  authorizes: boolean;
  /** The authorization part of its JSON; empty where it can't be read. */
  settings: Fields;
}

const OURS = ["authz", "canary", "telemetry", "edge"];

export function pluginOf(filter: Fields, index: number, path: Path): Plugin | undefined {
  const typed = fieldsOf(filter.typed_config);
  if (typeOf(typed) !== "Wasm") return undefined;
  const config = fieldsOf(typed.config);
  const code = fieldsOf(fieldsOf(fieldsOf(config.vm_config).code).local);
  const file = basename(String(code.filename ?? ""), ".wasm");
  const kind = OURS.find((each) => each === config.root_id) ?? OURS.find((each) => each === file);
  const json = settingsOf(config.configuration);
  const settings = kind === "edge" ? { identity: json.identity, ...fieldsOf(json.authz) } : json;
  const authorizes = kind === "authz" || (kind === "edge" && json.authz !== undefined);
  return { index, path: [...path, "typed_config", "config"], config, known: kind !== undefined, authorizes, settings };
}

function settingsOf(configuration: unknown): Fields {
  const { value } = fieldsOf(configuration);
  if (typeof value !== "string") return fieldsOf(value);
  try {
    return fieldsOf(JSON.parse(value));
  } catch {
    return {};
  }
}

export function lintPlugin(plugin: Plugin, network: Fields[], http: Fields[], source: Source, report: Report): void {
  const { config, path, settings } = plugin;
  if (config.failure_policy === "FAIL_OPEN" || config.fail_open === true) {
    const field = config.failure_policy === "FAIL_OPEN" ? "failure_policy" : "fail_open";
    report.error("authorization-fails-open", source, [...path, field], "where the module fails, requests pass without authorization", { fix: "failure_policy: FAIL_RELOAD" });
  }
  const restriction = config.capability_restriction_config ?? fieldsOf(config.vm_config).capability_restriction_config;
  if (restriction === undefined) {
    report.warn("capabilities-unrestricted", source, path, "the module may make any host call", { fix: "add capability_restriction_config; `selvedge inspect` lists what the module needs" });
  }
  for (const [field, what] of [["identity", "the caller's identity"], ["directAddress", "the caller's address"]] as const) {
    const key = fieldsOf(settings[field]).filterState;
    if (typeof key !== "string") continue;
    const ahead = [...network, ...http.slice(0, plugin.index)];
    const entries = ahead.flatMap((filter) => (typeOf(fieldsOf(filter.typed_config)) === "Config" ? entriesOf(fieldsOf(filter.typed_config)) : []));
    if (!entries.some((entry) => (entry.object_key ?? entry.factory_key) === key)) {
      report.error("identity-source-missing", source, path, `no set_filter_state filter ahead of it sets "${key}": ${what} is unknown, and no policy on it matches`, { fix: "add envoy.filters.network.set_filter_state, as in filters/authz/envoy.yaml" });
    }
  }
  const { providers } = fieldsOf(settings.custom);
  const asking = http.slice(plugin.index + 1).filter(asksProvider).length;
  if (Array.isArray(providers) && providers.length > asking) {
    report.error("custom-without-provider", source, path, "requests that CUSTOM policies match are marked for filters that aren't behind this one, so that nobody is asked", { found: `${asking} ext_authz filters`, expected: `one for each of ${providers.join(", ")}`, fix: "add them, as in filters/authz/README.md" });
  }
  if (settings.identity === undefined) {
    report.warn("identity-first-name-only", source, path, "the identity is the first URI SAN of the certificate: a second one isn't noticed", { fix: '"identity": {"filterState": "selvedge.peer"}, with the filter that sets it' });
  }
}

/** ext_authz, by itself or behind a matcher. */
function asksProvider(filter: Fields): boolean {
  const typed = fieldsOf(filter.typed_config);
  return typeOf(typed) === "ExtAuthz" || typeOf(fieldsOf(fieldsOf(typed.extension_config).typed_config)) === "ExtAuthz";
}

const entriesOf = (config: Fields): Fields[] => Object.entries(config).flatMap(([name, value]) => (name.startsWith("on_") ? listOf(value) : []));
