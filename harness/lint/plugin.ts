/** A Wasm filter of ours in an Envoy configuration: how it fails, and where its identity comes from. */
import { basename } from "node:path";
import type { Report } from "../compose/report.ts";
import type { Path, Source } from "../compose/source.ts";
import { fieldsOf, listOf, typedOf, typeOf, type Fields } from "./fields.ts";
import { IDENTITY, policiesOf } from "./settings.ts";

export interface Plugin {
  /** Of the filter, by which routes speak of it. */
  name: string;
  /** Among the filters of its list. */
  index: number;
  /** Where the filter stands, and its configuration. */
  filter: Path;
  path: Path;
  config: Fields;
  /** One of Selvedge's own. */
  known: boolean;
  authorizes: boolean;
  disabled: boolean;
  /** A matcher decides whether it runs. */
  conditional: boolean;
  /** The authorization part of its JSON; empty where it can't be read. */
  settings: Fields;
}

const OURS = ["authz", "canary", "telemetry", "edge"];

/** @param path of the list that the filter is in */
export function pluginOf(filter: Fields, index: number, path: Path): Plugin | undefined {
  const { typed, at, conditional } = unwrapped(filter, [...path, index]);
  if (typeOf(typed) !== "Wasm") return undefined;
  const config = fieldsOf(typed.config);
  const code = fieldsOf(fieldsOf(fieldsOf(config.vm_config).code).local);
  const file = basename(String(code.filename ?? ""), ".wasm");
  const kind = OURS.find((each) => each === config.root_id) ?? OURS.find((each) => each === file);
  const json = settingsOf(config.configuration);
  const settings = kind === "edge" ? { identity: json.identity, ...fieldsOf(json.authz) } : json;
  const authorizes = kind === "authz" || (kind === "edge" && json.authz !== undefined);
  return { name: String(filter.name ?? ""), index, filter: [...path, index], path: [...at, "config"], config, known: kind !== undefined, authorizes, disabled: filter.disabled === true, conditional, settings };
}

/** The filter's own configuration: behind a matcher, or what is used until another one is discovered. */
export function unwrapped(filter: Fields, path: Path): { typed: Fields; at: Path; conditional: boolean } {
  const discovered = fieldsOf(filter.config_discovery).default_config;
  const typed = discovered === undefined ? typedOf(filter) : typedOf({ typed_config: discovered });
  const at: Path = discovered === undefined ? [...path, "typed_config"] : [...path, "config_discovery", "default_config"];
  if (typeOf(typed) !== "ExtensionWithMatcher") return { typed, at, conditional: false };
  const inner = unwrapped(fieldsOf(typed.extension_config), [...at, "extension_config"]);
  return { ...inner, conditional: true };
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

/** What the filter takes from filter state, and the text that is it, where nobody but Envoy has a say in it. */
const SOURCES = [
  ["identity", "the caller's identity", "%DOWNSTREAM_PEER_URI_SAN%"],
  ["directAddress", "the caller's address", "%DOWNSTREAM_DIRECT_REMOTE_ADDRESS_WITHOUT_PORT%"],
] as const;

/**
 * @param tls whether the filter chain has TLS: without, nobody has a name that could be handed over
 * @param ahead filters before it, of the connection and of the request; `behind` those after it
 */
export function lintPlugin(plugin: Plugin, tls: boolean, ahead: Fields[], behind: Fields[], source: Source, report: Report): void {
  const { config, path, settings } = plugin;
  const open = config.failure_policy === "FAIL_OPEN" ? "failure_policy" : config.fail_open === true ? "fail_open" : undefined;
  if (open !== undefined) {
    report.error("authorization-fails-open", source, [...path, open], "where the module fails, requests pass without authorization", { fix: "failure_policy: FAIL_RELOAD" });
  }
  if (plugin.conditional) {
    report.warn("authorization-conditional", source, plugin.filter, "a matcher decides whether authorization runs at all: what it skips passes", { fix: "mount the filter by itself, and let policies say what is public" });
  }
  const restriction = config.capability_restriction_config ?? fieldsOf(config.vm_config).capability_restriction_config;
  if (restriction === undefined) {
    report.warn("capabilities-unrestricted", source, path, "the module may make any host call", { fix: "add capability_restriction_config; `selvedge inspect` lists what the module needs" });
  }
  for (const [field, what, format] of SOURCES) {
    const key = fieldsOf(settings[field]).filterState;
    if (typeof key !== "string" || (field === "identity" && !tls)) continue;
    const entries = ahead.flatMap((filter) => (typeOf(typedOf(filter)) === "Config" ? entriesOf(typedOf(filter)) : []));
    const setting = entries.filter((entry) => (entry.object_key ?? entry.factory_key) === key);
    const other = setting.map(formatOf).find((each) => each !== undefined && each !== format);
    if (other !== undefined) {
      report.warn("identity-source-other", source, path, `"${key}" is read as ${what}, and set to something else`, { found: other, expected: format });
    }
    if (setting.length === 0) {
      report.error("identity-source-missing", source, path, `no set_filter_state filter ahead of it sets "${key}": ${what} is unknown, and no policy on it matches`, { fix: "add envoy.filters.network.set_filter_state, as in filters/authz/envoy.yaml" });
    }
  }
  const { providers } = fieldsOf(settings.custom);
  const asking = behind.filter((filter) => typeOf(unwrapped(filter, []).typed) === "ExtAuthz").length;
  if (Array.isArray(providers) && providers.length > asking) {
    report.error("custom-without-provider", source, path, "requests that CUSTOM policies match are marked for filters that aren't behind this one, so that nobody is asked", { found: `${asking} ext_authz filters`, expected: `one for each of ${providers.join(", ")}`, fix: "add them, as in filters/authz/README.md" });
  }
  if (settings.identity === undefined && tls && IDENTITY.test(policiesOf(plugin))) {
    report.warn("identity-first-name-only", source, path, "the identity is the first URI SAN of the certificate: a second one isn't noticed", { fix: '"identity": {"filterState": "selvedge.peer"}, with the filter that sets it' });
  }
}

const entriesOf = (config: Fields): Fields[] => Object.entries(config).flatMap(([name, value]) => (name.startsWith("on_") ? listOf(value) : []));

function formatOf(entry: Fields): string | undefined {
  const { text_format_source: from, text_format: old } = fieldsOf(entry.format_string);
  const text = fieldsOf(from).inline_string ?? old;
  return typeof text === "string" ? text : undefined;
}
