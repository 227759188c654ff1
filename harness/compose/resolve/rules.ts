/** One rule of an HTTPRoute, resolved: matches, filters, arms. */
import { parseDuration } from "../duration.ts";
import type { Resource } from "../load.ts";
import type { Report } from "../report.ts";
import type { RouteBackendRef, RouteFilter, RouteMatch, RouteRule } from "../schema/httproute.ts";
import type { Path } from "../source.ts";
import type { Backends } from "./backends.ts";
import { checkMatches } from "../check/matches.ts";
import { combine, headerChanges, noChanges } from "./headers.ts";
import type { ArmModel, PathChange, RuleModel } from "./model.ts";

interface Context {
  route: Resource<"HTTPRoute">;
  backends: Backends;
  report: Report;
}

const DEFAULT_MATCHES: RouteMatch[] = [{ path: { type: "PathPrefix", value: "/" } }];

export function resolveRule(rule: RouteRule, index: number, id: string, context: Context): RuleModel {
  const { route, report } = context;
  const base: Path = ["spec", "rules", index];
  const matches = rule.matches && rule.matches.length > 0 ? rule.matches : DEFAULT_MATCHES;
  checkMatches(matches, route, [...base, "matches"], report);
  const model: RuleModel = {
    id,
    route,
    index,
    matches,
    requestHeaders: noChanges(),
    responseHeaders: noChanges(),
    arms: [],
    mirrors: [],
  };
  applyFilters(rule.filters ?? [], [...base, "filters"], model, context);
  resolveTimeouts(rule, base, model, context);
  const refs = rule.backendRefs ?? [];
  if (model.redirect) {
    if (refs.length > 0) {
      report.error("filter-conflict", route, [...base, "backendRefs"], "a rule that redirects has no backends", { fix: "remove backendRefs or the RequestRedirect filter", part: "key" });
    }
    return model;
  }
  model.arms = resolveArms(refs, [...base, "backendRefs"], context);
  // Gateway API: a rule without backends answers 500; Envoy Gateway does the same where all weights are 0.
  if (refs.length === 0 || refs.every((ref) => ref.weight === 0)) {
    model.status = 500;
    report.warn("rule-without-backend", route, refs.length === 0 ? base : [...base, "backendRefs"], "this rule sends no request anywhere: it answers 500", {
      ...(refs.length > 0 ? { found: "only weights of 0" } : {}),
      fix: "give it a backendRef with a weight above 0, or remove it",
    });
  }
  return model;
}

/** The arms that get traffic, in listed order; an arm is named after its Backend, a repeated one also by its index. */
function resolveArms(refs: RouteBackendRef[], base: Path, context: Context): ArmModel[] {
  const arms: ArmModel[] = [];
  refs.forEach((ref, i) => {
    const backend = context.backends.resolve(context.route, [...base, i], ref);
    const holder = { requestHeaders: noChanges(), responseHeaders: noChanges() };
    (ref.filters ?? []).forEach((filter, j) => {
      const path: Path = [...base, i, "filters", j];
      if (filter.type !== "RequestHeaderModifier" && filter.type !== "ResponseHeaderModifier") {
        context.report.error("unsupported-field", context.route, [...path, "type"], `a backendRef can't have the filter ${filter.type} here`, {
          expected: "RequestHeaderModifier or ResponseHeaderModifier",
          fix: "move it to the rule",
        });
      } else applyHeaderFilter(filter, path, holder, context);
    });
    once(ref.filters ?? [], [...base, i, "filters"], context);
    const weight = ref.weight ?? 1;
    if (!backend || weight === 0) return;
    const name = arms.some((arm) => arm.backend === backend) ? `${backend.name}.${i}` : backend.name;
    arms.push({ name, backend, weight, ...holder });
  });
  return arms;
}

const FILTER_FIELD = {
  RequestHeaderModifier: "requestHeaderModifier",
  ResponseHeaderModifier: "responseHeaderModifier",
  RequestRedirect: "requestRedirect",
  URLRewrite: "urlRewrite",
  RequestMirror: "requestMirror",
} as const;

function applyFilters(filters: RouteFilter[], base: Path, model: RuleModel, context: Context): void {
  const { route, report, backends } = context;
  once(filters, base, context);
  filters.forEach((filter, i) => {
    const path: Path = [...base, i];
    if (!wellFormed(filter, path, context)) return;
    switch (filter.type) {
      case "RequestHeaderModifier":
      case "ResponseHeaderModifier":
        applyHeaderFilter(filter, path, model, context);
        return;
      case "RequestRedirect": {
        const redirect = filter.requestRedirect!;
        if (redirect.path) pathChange(redirect.path, [...path, "requestRedirect", "path"], model, context);
        model.redirect = redirect;
        return;
      }
      case "URLRewrite": {
        const rewrite = filter.urlRewrite!;
        const change = rewrite.path && pathChange(rewrite.path, [...path, "urlRewrite", "path"], model, context);
        model.rewrite = { ...(rewrite.hostname ? { hostname: rewrite.hostname } : {}), ...(change ? { path: change } : {}) };
        return;
      }
      case "RequestMirror": {
        const mirror = filter.requestMirror!;
        const where: Path = [...path, "requestMirror"];
        const backend = backends.resolve(route, [...where, "backendRef"], mirror.backendRef);
        const { percent, fraction } = mirror;
        if (percent !== undefined && fraction) {
          report.error("wrong-value", route, where, "give percent or fraction, not both");
        } else if (fraction && fraction.numerator > (fraction.denominator ?? 100)) {
          report.error("wrong-value", route, [...where, "fraction"], "the numerator is above the denominator");
        } else if (backend) {
          const share = fraction ? fraction.numerator / (fraction.denominator ?? 100) : (percent ?? 100) / 100;
          model.mirrors.push({ backend, perMillion: Math.round(share * 1_000_000) });
        }
      }
    }
  });
  if (model.redirect && model.rewrite) {
    report.error("filter-conflict", route, base, "RequestRedirect and URLRewrite exclude each other", { part: "key" });
  }
}

/** A filter carries the field that its type names, and no other. */
function wellFormed(filter: RouteFilter, path: Path, { route, report }: Context): boolean {
  const field = FILTER_FIELD[filter.type];
  const others = Object.values(FILTER_FIELD).filter((each) => each !== field && filter[each] !== undefined);
  for (const other of others) {
    report.error("wrong-value", route, [...path, other], `a filter of type ${filter.type} takes no \`${other}\``, { part: "key" });
  }
  if (filter[field] === undefined) {
    report.error("missing-field", route, path, `a filter of type ${filter.type} needs \`${field}\``);
    return false;
  }
  return others.length === 0;
}

/** All filters but RequestMirror may stand once in a list. */
function once(filters: RouteFilter[], base: Path, { route, report }: Context): void {
  const seen = new Set<string>();
  filters.forEach((filter, i) => {
    if (filter.type !== "RequestMirror" && seen.has(filter.type)) {
      report.error("filter-conflict", route, [...base, i, "type"], `the filter ${filter.type} may stand only once`);
    }
    seen.add(filter.type);
  });
}

function applyHeaderFilter(
  filter: RouteFilter,
  path: Path,
  holder: Pick<RuleModel, "requestHeaders" | "responseHeaders">,
  context: Context,
): void {
  if (!wellFormed(filter, path, context)) return;
  const request = filter.type === "RequestHeaderModifier";
  const field = request ? "requestHeaderModifier" : "responseHeaderModifier";
  const changes = headerChanges(filter[field]!, context.route, [...path, field], context.report);
  const target = request ? "requestHeaders" : "responseHeaders";
  holder[target] = combine(holder[target], changes);
}

function pathChange(
  modifier: { type: string; replaceFullPath?: string; replacePrefixMatch?: string },
  path: Path,
  model: RuleModel,
  { route, report }: Context,
): PathChange | undefined {
  const full = modifier.type === "ReplaceFullPath";
  const field = full ? "replaceFullPath" : "replacePrefixMatch";
  const value = modifier[field];
  const other = full ? "replacePrefixMatch" : "replaceFullPath";
  if (value === undefined || modifier[other] !== undefined) {
    report.error("wrong-value", route, path, `type ${modifier.type} goes with \`${field}\` alone`);
    return undefined;
  }
  if (!full && model.matches.some((match) => match.path !== undefined && (match.path.type ?? "PathPrefix") !== "PathPrefix")) {
    report.error("wrong-value", route, path, "ReplacePrefixMatch needs a PathPrefix in every match of the rule", { part: "key" });
  }
  if ((full || value !== "") && !value.startsWith("/")) {
    report.error("wrong-value", route, [...path, field], "a path starts with /", { found: value });
    return undefined;
  }
  return full ? { full: value } : { prefix: value };
}

function resolveTimeouts(rule: RouteRule, base: Path, model: RuleModel, { route, report }: Context): void {
  const { request, backendRequest } = rule.timeouts ?? {};
  if (request !== undefined) model.requestTimeout = parseDuration(request);
  if (backendRequest !== undefined) model.backendTimeout = parseDuration(backendRequest);
  if (model.requestTimeout && model.backendTimeout && model.backendTimeout > model.requestTimeout) {
    report.error("wrong-value", route, [...base, "timeouts", "backendRequest"], "backendRequest is longer than request", {
      found: `${backendRequest} > ${request}`,
    });
  }
  if (rule.retry) {
    const { codes, attempts, backoff } = rule.retry;
    if (attempts === 0) return;
    const wait = backoff === undefined ? undefined : parseDuration(backoff);
    if (wait === 0) {
      report.error("wrong-value", route, [...base, "retry", "backoff"], "a back-off is longer than 0");
      return;
    }
    model.retry = { codes: codes ?? [], attempts: attempts ?? 1, ...(wait ? { backoff: wait } : {}) };
  }
}
