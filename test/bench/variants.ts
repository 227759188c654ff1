import type { ListenerSpec } from "./envoy-config.ts";
import { FILTERS, pluginFilter, type FilterName, type Modules } from "./modules.ts";
import { makePolicies } from "./policies.ts";
import { authzConfig, canaryConfig, edgeConfig, telemetryConfig } from "./plugins.ts";
import { rbacMatcher, rbacPolicies } from "./rbac.ts";

/** One thing that is measured: a listener of its own, and the variant whose cost is subtracted from it. */
export interface Variant {
  /** Also the listener's name. */
  id: string;
  title: string;
  /** Null for a baseline itself. */
  baseline: string | null;
  /** Undefined where a module isn't there. */
  listener?: ListenerSpec;
  /** Why there is no listener. */
  missing?: string;
  /** Does the caller get 403 for a path that no policy allows? */
  denies: boolean;
}

export const POLICY_COUNTS = [10, 100, 1_000, 5_000] as const;
export const BASELINE = "none";
export const UPSTREAM_BASELINE = "upstream";

type Filters = NonNullable<Variant["listener"]>["filters"];

/** Every variant, in the order of the report. @param counts numbers of policies */
export function makeVariants(modules: Modules, counts: readonly number[] = POLICY_COUNTS): Variant[] {
  const variants: Variant[] = [];
  const add = (id: string, title: string, options: { needs?: FilterName[]; filters?: () => Filters; routing?: ListenerSpec["routing"]; baseline?: string | null; denies?: boolean }): void => {
    const missing = modules.missing.find(({ name }) => options.needs?.includes(name));
    const listener = missing ? undefined : { name: id, filters: options.filters?.() ?? [], routing: options.routing ?? "direct" };
    variants.push({ id, title, baseline: options.baseline === undefined ? BASELINE : options.baseline, listener, missing: missing?.reason, denies: options.denies ?? false });
  };
  const plugin = (kind: FilterName, vm: string, config: object): Filters => [pluginFilter(modules.filters[kind]!, vm, config)];
  const three = (set: "filters" | "empty", vm: string): Filters => [
    pluginFilter(modules[set].telemetry!, vm, telemetryConfig()),
    pluginFilter(modules[set].authz!, vm, authzConfig(10, true)),
    pluginFilter(modules[set].canary!, vm, canaryConfig()),
  ];
  const separate: FilterName[] = ["authz", "canary", "telemetry"];

  add(BASELINE, "no filter", { baseline: null });
  for (const kind of FILTERS) {
    add(`empty/${kind}`, `empty module with ${kind}'s callbacks`, { needs: [kind], filters: () => [pluginFilter(modules.empty[kind]!, `empty-${kind}`, {})] });
  }
  add("empty/three", "three empty modules in a chain", { needs: separate, filters: () => three("empty", "empty-three") });
  for (const count of counts) {
    add(`authz/${count}`, `authz, ${policies(count)}`, { needs: ["authz"], filters: () => plugin("authz", `authz-${count}`, authzConfig(count)), denies: true });
  }
  add("authz/routed", "authz, 10 policies, destination by route", { needs: ["authz"], filters: () => plugin("authz", "authz-routed", authzConfig(10, true)), denies: true });
  add("canary", "canary 90/10, a draw each request", { needs: ["canary"], filters: () => plugin("canary", "canary", canaryConfig()), routing: "arms" });
  add("canary/sticky", "canary 90/10, sticky by header", { needs: ["canary"], filters: () => plugin("canary", "canary-sticky", canaryConfig(true)), routing: "arms" });
  add("telemetry", "telemetry", { needs: ["telemetry"], filters: () => plugin("telemetry", "telemetry", telemetryConfig()) });
  add("edge", "edge: the three in one module", { needs: ["edge"], filters: () => plugin("edge", "edge", edgeConfig(10)), routing: "arms", denies: true });
  add("three", "the three as separate modules", { needs: separate, filters: () => three("filters", "three"), routing: "arms", denies: true });
  for (const count of counts) add(`rbac/${count}`, `native RBAC policies, ${policies(count)}`, { filters: () => [rbacPolicies(makePolicies(count))], denies: true });
  for (const count of counts) add(`matcher/${count}`, `native RBAC matcher tree, ${policies(count)}`, { filters: () => [rbacMatcher(makePolicies(count))], denies: true });
  add(UPSTREAM_BASELINE, "no filter, to a backend", { baseline: null, routing: "cluster" });
  add("upstream/weighted", "native weighted_clusters 90/10", { baseline: UPSTREAM_BASELINE, routing: "weighted" });
  add("upstream/canary", "canary 90/10 to the same backends", { needs: ["canary"], filters: () => plugin("canary", "canary-upstream", canaryConfig()), routing: "arm-clusters", baseline: UPSTREAM_BASELINE });
  return variants;
}

/** Those that `--only` names: an id, or the part of it before a slash. Baselines come along with what needs them. */
export function selectVariants(variants: readonly Variant[], only: readonly string[]): Variant[] {
  const named = variants.filter(({ id }) => only.some((name) => id === name || id.startsWith(`${name}/`) || (id.startsWith("empty/") && id.endsWith(`/${name}`))));
  const baselines = new Set(named.flatMap(({ baseline }) => (baseline === null ? [] : [baseline])));
  return variants.filter((variant) => named.includes(variant) || baselines.has(variant.id));
}

const policies = (count: number): string => `${count.toLocaleString("en")} policies`;
