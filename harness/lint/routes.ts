/** Where an Envoy configuration's filter chains lead, and where on the way authorization is turned off. */
import type { Report } from "../compose/report.ts";
import type { Path, Source } from "../compose/source.ts";
import { fieldsOf, listOf, typedOf, typeOf, type Fields } from "./fields.ts";
import type { Plugin } from "./plugin.ts";

interface Override {
  path: Path;
  /** By name of the filter. */
  config: Fields;
}

/** Every `typed_per_filter_config` of an HTTP connection manager's routes. */
function overridesOf(manager: Fields, at: Path): Override[] {
  const found: Override[] = [];
  const take = (holder: Fields, path: Path): void => {
    if (holder.typed_per_filter_config !== undefined) found.push({ path: [...path, "typed_per_filter_config"], config: fieldsOf(holder.typed_per_filter_config) });
  };
  const configuration = fieldsOf(manager.route_config);
  const base: Path = [...at, "route_config"];
  take(configuration, base);
  listOf(configuration.virtual_hosts).forEach((host, i) => {
    const there: Path = [...base, "virtual_hosts", i];
    take(host, there);
    listOf(host.routes).forEach((route, j) => {
      take(route, [...there, "routes", j]);
      listOf(fieldsOf(fieldsOf(route.route).weighted_clusters).clusters).forEach((cluster, k) => take(cluster, [...there, "routes", j, "route", "weighted_clusters", "clusters", k]));
    });
  });
  return found;
}

/** Reports where the filter is off. False: it is off everywhere. */
export function lintDisabled(plugin: Plugin, manager: Fields, at: Path, source: Source, report: Report): boolean {
  const overrides = overridesOf(manager, at).flatMap(({ path, config }) => {
    const own = config[plugin.name];
    return own === undefined ? [] : [{ path: [...path, plugin.name, "disabled"], off: fieldsOf(own).disabled === true }];
  });
  if (plugin.disabled) {
    const someOn = overrides.some(({ off }) => !off);
    report[someOn ? "warn" : "error"]("authorization-disabled", source, [...plugin.filter, "disabled"], `${plugin.name} is disabled${someOn ? ", but where a route turns it on" : ""}: requests pass without authorization`, { fix: "remove this line" });
    return someOn;
  }
  for (const { path, off } of overrides) {
    if (off) report.warn("authorization-disabled", source, path, `${plugin.name} is disabled here: these requests pass without authorization`, { fix: "remove this line, and allow by a policy what is meant to be public" });
  }
  return true;
}

/** Names of what a filter chain leads to: clusters, and route configurations that Envoy fetches. */
export function destinationsOf(chain: Fields): Set<string> {
  const found = new Set<string>();
  const cluster = (holder: Fields): void => {
    if (typeof holder.cluster === "string") found.add(`cluster ${holder.cluster}`);
    for (const { name } of listOf(fieldsOf(holder.weighted_clusters).clusters)) found.add(`cluster ${String(name)}`);
  };
  for (const filter of listOf(chain.filters)) {
    const config = typedOf(filter);
    if (typeOf(config) === "TcpProxy") cluster(config);
    if (typeOf(config) !== "HttpConnectionManager") continue;
    const { route_config_name: fetched } = fieldsOf(config.rds);
    if (typeof fetched === "string") found.add(`route configuration ${fetched}`);
    for (const host of listOf(fieldsOf(config.route_config).virtual_hosts)) for (const route of listOf(host.routes)) cluster(fieldsOf(route.route));
  }
  return found;
}
