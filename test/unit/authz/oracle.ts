/**
 * A second, plain evaluator: each policy is translated as istiod translates it for Envoy's RBAC filter (regular expressions
 * and all), and every rule is tried. It shares no idea with the filter's index.
 */
import { isIP } from "node:net";
import type { Request } from "./core.ts";

export type Values = string[];
export interface Source {
  principals?: Values; notPrincipals?: Values; requestPrincipals?: Values; notRequestPrincipals?: Values; namespaces?: Values; notNamespaces?: Values;
  serviceAccounts?: Values; notServiceAccounts?: Values; trustDomains?: Values; notTrustDomains?: Values;
  ipBlocks?: Values; notIpBlocks?: Values; remoteIpBlocks?: Values; notRemoteIpBlocks?: Values;
}
export interface Operation {
  hosts?: Values; notHosts?: Values; ports?: Values; notPorts?: Values; methods?: Values; notMethods?: Values; paths?: Values; notPaths?: Values;
}
export interface Condition { key: string; values?: Values; notValues?: Values }
export interface Rule { from?: { source: Source }[]; to?: { operation: Operation }[]; when?: Condition[] }
export interface Policy {
  metadata: { name: string; namespace?: string; annotations?: Record<string, string> };
  spec: { selector?: { matchLabels: Record<string, string> }; action?: "ALLOW" | "DENY" | "AUDIT" | "CUSTOM"; provider?: { name: string }; rules?: Rule[] };
}
export interface Configuration {
  protocol?: "http" | "tcp";
  namespace?: string; labels?: Record<string, string>; rootNamespace?: string; trustDomain?: string; trustDomainAliases?: string[];
  policies: Policy[];
  workloads?: { name?: string; namespace: string; labels?: Record<string, string>; routes?: string[] }[];
}

const quote = (text: string) => text.replace(/[.*+?^${}()|[\]\\/-]/g, "\\$&");
const expressions = new Map<string, RegExp>();

/** Matches a text as a whole. Kept, since making them takes most of a long run's time. */
function whole(pattern: string): RegExp {
  let expression = expressions.get(pattern);
  if (!expression) {
    if (expressions.size > 10_000) expressions.clear();
    expressions.set(pattern, (expression = new RegExp(`^(?:${pattern})$`, "s")));
  }
  return expression;
}

type Matcher = (request: Request) => boolean;

/** Envoy's StringMatcher as istiod makes it of a value; `presence` is what "*" becomes. */
function string(value: string, text: string | undefined, presence = (t: string) => t.length > 0, fold = false): boolean {
  if (text === undefined) return false;
  if (value === "*") return presence(text);
  if (fold) {
    value = lower(value);
    text = lower(text);
  }
  if (value.startsWith("*")) return text.endsWith(value.slice(1));
  if (value.endsWith("*")) return text.startsWith(value.slice(0, -1));
  return text === value;
}

/** ASCII only, as Envoy does it. */
const lower = (text: string) => text.replace(/[A-Z]/g, (c) => c.toLowerCase());

const present = () => true;

function principal(value: string, uri: string | undefined): boolean {
  if (uri === undefined) return false;
  if (value === "*") return whole(".+").test(uri);
  if (value.startsWith("*")) return whole(`spiffe://.*${quote(value.slice(1))}`).test(uri);
  if (value.endsWith("*")) return uri.startsWith(`spiffe://${value.slice(0, -1)}`);
  return uri === `spiffe://${value}`;
}

const namespace = (value: string, uri: string | undefined) =>
  uri !== undefined && whole(`.*/ns/${value.split("*").map(quote).join(".*")}/.*`).test(uri);

function serviceAccount(value: string, policyNamespace: string, uri: string | undefined): boolean {
  const slash = value.indexOf("/");
  const [ns, account] = slash < 0 ? [policyNamespace, value] : [value.slice(0, slash), value.slice(slash + 1)];
  return uri !== undefined && whole(`spiffe://.+/ns/${quote(ns)}/(.+/|)sa/${quote(account)}(/.+)?`).test(uri);
}

function trustDomain(value: string, uri: string | undefined): boolean {
  if (uri === undefined) return false;
  if (value === "*") return uri.startsWith("spiffe://");
  if (value.includes("*")) return whole(`spiffe://${value.split("*").map(quote).join("[^/]*")}/.*`).test(uri);
  return uri.startsWith(`spiffe://${value}/`);
}

/** A StringMatcher of istiod over a string of a JSON document: "*" is the regular expression `.+`, whose dot is no line break. */
const some = (t: string) => /^.+$/.test(t) && !t.includes("\n");
const jsonString = (value: string, json: unknown): boolean => typeof json === "string" && string(value, json, some);

/** istiod's requestPrincipalGenerator: issuer and subject apart, at the last slash. */
function requestPrincipal(value: string, claims: Record<string, unknown> | undefined): boolean {
  const { iss, sub } = claims ?? {};
  if (typeof iss !== "string" || typeof sub !== "string") return false;
  const slash = value.lastIndexOf("/");
  const [issuer, subject] = slash < 0 ? [value, ""] : [value.slice(0, slash), value.slice(slash + 1)];
  if (value === "*") return some(iss) && some(sub);
  if (value.startsWith("*")) {
    if (slash < 0) return some(iss) && sub.endsWith(value.slice(1));
    return (issuer === "*" ? some(iss) : iss.endsWith(issuer.slice(1))) && sub === subject;
  }
  if (value.endsWith("*")) {
    if (slash < 0) return iss.startsWith(value.slice(0, -1)) && some(sub);
    return iss === issuer && (subject === "*" ? some(sub) : sub.startsWith(subject.slice(0, -1)));
  }
  return iss === issuer && sub === subject;
}

/** Envoy's metadata matcher: a path through objects only, then a string, or a list with one. */
function claim(value: string, path: string[], json: unknown): boolean {
  for (const name of path) {
    if (typeof json !== "object" || json === null || Array.isArray(json) || !Object.hasOwn(json, name)) return false;
    json = (json as Record<string, unknown>)[name];
  }
  return Array.isArray(json) ? json.some((item) => jsonString(value, item)) : jsonString(value, json);
}

/** istiod's envoyFilterGenerator: `[x]` looks for x in a list, x compares with a string. */
function metadata(value: string, filter: string, key: string, request: Request): boolean {
  const json = (request.metadata?.[filter] as Record<string, unknown> | undefined)?.[key];
  if (!(value.startsWith("[") && value.endsWith("]"))) return jsonString(value, json);
  const inner = value.replace(/^[[\]]+|[[\]]+$/g, "");
  return Array.isArray(json) && json.some((item) => jsonString(inner, item));
}

const templateClass = "a-zA-Z0-9\\-._~%!$&'()*+,;=:@";

/** Without query and fragment. */
export const pathOf = (request: Request): string | undefined => request.path?.replace(/[?#].*$/s, "");

/** A request whose path a backend may read so, whatever `:path` says. */
export type Reading = Request & { pathAsRead?: string };

function path(value: string, request: Reading): boolean {
  const text = request.pathAsRead ?? pathOf(request);
  if (!value.includes("{*}") && !value.includes("{**}")) return string(value, text);
  const regex = value.split(/(\{\*\*?\})/).map((part) =>
    part === "{*}" ? `[${templateClass}]+` : part === "{**}" ? `[${templateClass}/]*` : quote(part)).join("");
  return whole(regex).test(text ?? "");
}

/** The bits of an address, or undefined. Written apart from the filter's reader. */
export function bits(text: string): string | undefined {
  const four = /^(\d+)\.(\d+)\.(\d+)\.(\d+)$/.exec(text);
  if (four) return four.slice(1).map((part) => Number(part).toString(2).padStart(8, "0")).join("");
  if (!text.includes(":")) return undefined;
  const mapped = /^(.*:)(\d+)\.(\d+)\.(\d+)\.(\d+)$/.exec(text);
  if (mapped) {
    const [a, b, c, d] = mapped.slice(2).map(Number) as [number, number, number, number];
    text = `${mapped[1]}${(a * 256 + b).toString(16)}:${(c * 256 + d).toString(16)}`;
  }
  const [head = "", tail] = text.split("::");
  const groups = (part: string) => (part === "" ? [] : part.split(":"));
  const middle = tail === undefined ? [] : Array<string>(8 - groups(head).length - groups(tail).length).fill("0");
  const all = [...groups(head), ...middle, ...groups(tail ?? "")].map((group) => parseInt(group, 16).toString(2).padStart(16, "0")).join("");
  const mappedPrefix = `${"0".repeat(80)}${"1".repeat(16)}`;
  return all.startsWith(mappedPrefix) ? all.slice(96) : all;
}

function ip(value: string, address: string | undefined): boolean {
  const text = address && isIP(address) !== 0 && !address.includes("%") && bits(address);
  if (!text) return false;
  const [base, length] = value.split("/") as [string, string | undefined];
  const range = bits(base)!;
  let count = length === undefined ? range.length : Number(length);
  if (length !== undefined && range.length === 32 && base.includes(":")) {
    // Wider than the mapped addresses: a range of IPv6.
    if (count < 96) return text.length === 128 && `${"0".repeat(80)}${"1".repeat(16)}`.slice(0, count) === text.slice(0, count);
    count -= 96;
  }
  return range.length === text.length && range.slice(0, count) === text.slice(0, count);
}

const withoutPort = (address: string | undefined) =>
  address === undefined ? undefined : address.startsWith("[") ? address.slice(1, address.indexOf("]")) : address.replace(/:[^]*$/, "");

/** istiod's trustdomain.Bundle. */
function aliases(value: string, bundle: string[]): string[] {
  const parts = value.split("/");
  const own = parts[0]!;
  const suffix = (a: string, pattern: string) => pattern.startsWith("*") && a.endsWith(pattern.slice(1));
  const prefix = (a: string, pattern: string) => pattern.endsWith("*") && a.startsWith(pattern.slice(0, -1));
  const known = bundle.some((td) => own === td || td === "*" || prefix(own, td) || prefix(td, own) || suffix(own, td) || suffix(td, own));
  if (parts.length !== 5 || own === "*" || !(known || own === "cluster.local")) return [value];
  return bundle.map((td) => (suffix(td, own) ? value : [td, ...parts.slice(1)].join("/")));
}

/** Both lists of one attribute: any of the values, none of the others. */
function field(values: Values | undefined, notValues: Values | undefined, test: (value: string, request: Request) => boolean): Matcher {
  return (request) =>
    (!values?.length || values.some((value) => test(value, request))) && !(notValues ?? []).some((value) => test(value, request));
}

function headerValues(name: string, request: Request): string[] {
  const lower = name.toLowerCase();
  if (lower === ":authority" || lower === "host") return request.host === undefined ? [] : [request.host];
  if (lower === ":method") return request.method === undefined ? [] : [request.method];
  if (lower === ":path") return request.path === undefined ? [] : [request.path];
  return (request.headers ?? []).filter(([key]) => key === lower).map(([, value]) => value);
}

class Translation {
  constructor(private readonly bundle: string[], private readonly policyNamespace: string) {}

  private principals(values?: Values) {
    return values?.flatMap((value) => aliases(value, this.bundle));
  }

  private trustDomains(values?: Values) {
    return values?.flatMap((value) => (this.bundle.includes(value) ? this.bundle : [value]));
  }

  rule(rule: Rule): Matcher {
    const sources = (rule.from ?? []).map(({ source }) => this.source(source));
    const operations = (rule.to ?? []).map(({ operation }) => this.operation(operation));
    const conditions = (rule.when ?? []).map((condition) => this.condition(condition));
    return (request) =>
      (sources.length === 0 || sources.some((matches) => matches(request)))
      && (operations.length === 0 || operations.some((matches) => matches(request)))
      && conditions.every((matches) => matches(request));
  }

  private source(s: Source): Matcher {
    const all = [
      field(this.principals(s.principals), this.principals(s.notPrincipals), (v, r) => principal(v, r.peer)),
      field(s.requestPrincipals, s.notRequestPrincipals, (v, r) => requestPrincipal(v, r.claims)),
      field(s.namespaces, s.notNamespaces, (v, r) => namespace(v, r.peer)),
      field(s.serviceAccounts, s.notServiceAccounts, (v, r) => serviceAccount(v, this.policyNamespace, r.peer)),
      field(this.trustDomains(s.trustDomains), this.trustDomains(s.notTrustDomains), (v, r) => trustDomain(v, r.peer)),
      field(s.ipBlocks, s.notIpBlocks, (v, r) => ip(v, r.direct)),
      field(s.remoteIpBlocks, s.notRemoteIpBlocks, (v, r) => ip(v, withoutPort(r.remote))),
    ];
    return (request) => all.every((matches) => matches(request));
  }

  private operation(o: Operation): Matcher {
    const all = [
      field(o.hosts, o.notHosts, (v, r) => string(v, r.host, present, true)),
      field(o.ports, o.notPorts, (v, r) => Number(v) === r.port),
      field(o.methods, o.notMethods, (v, r) => string(v, r.method, present)),
      field(o.paths, o.notPaths, path),
    ];
    return (request) => all.every((matches) => matches(request));
  }

  private condition({ key, values, notValues }: Condition): Matcher {
    const header = /^request\.headers\[(.+)\]$/.exec(key)?.[1];
    if (header !== undefined) {
      return field(values, notValues, (v, r) => headerValues(header, r).some((text) => string(v, text, present)));
    }
    const experimental = /^experimental\.(envoy\.filters\.[^[]+)\[(.+)\]$/.exec(key);
    if (experimental) return field(values, notValues, (v, r) => metadata(v, experimental[1]!, experimental[2]!, r));
    const claims = /^request\.auth\.claims\[(.+)\]$/.exec(key)?.[1]?.split("][")
      ?? ({ "request.auth.audiences": ["aud"], "request.auth.presenter": ["azp"] } as Record<string, string[]>)[key];
    if (claims !== undefined) return field(values, notValues, (v, r) => claim(v, claims, r.claims));
    switch (key) {
      case "request.auth.principal": return field(values, notValues, (v, r) => requestPrincipal(v, r.claims));
      case "source.principal": return field(this.principals(values), this.principals(notValues), (v, r) => principal(v, r.peer));
      case "source.namespace": return field(values, notValues, (v, r) => namespace(v, r.peer));
      case "source.serviceAccount": return field(values, notValues, (v, r) => serviceAccount(v, this.policyNamespace, r.peer));
      case "source.trustDomain":
        return field(this.trustDomains(values), this.trustDomains(notValues), (v, r) => trustDomain(v, r.peer));
      case "source.ip": return field(values, notValues, (v, r) => ip(v, r.direct));
      case "remote.ip": return field(values, notValues, (v, r) => ip(v, withoutPort(r.remote)));
      case "destination.ip": return field(values, notValues, (v, r) => ip(v, withoutPort(r.destination)));
      case "destination.port": return field(values, notValues, (v, r) => Number(v) === r.port);
      case "connection.sni": return field(values, notValues, (v, r) => string(v, r.sni));
      default: throw new Error(`the oracle has no ${key}`);
    }
  }
}

const HTTP_FIELDS = ["hosts", "methods", "paths", "requestPrincipals"].flatMap((name) => [name, `not${name[0]!.toUpperCase()}${name.slice(1)}`]);
const isHttpKey = (key: string) => key.startsWith("request.");

/**
 * istiod's model of a rule for TCP: fields of HTTP make an ALLOW rule fail to be generated, so that it is left out; in a
 * rule of another action each is ignored by itself. Undefined: left out.
 */
export function onTcp(rule: Rule, action: Policy["spec"]["action"]): Rule | undefined {
  const ofHttp = (fields: object) => HTTP_FIELDS.some((name) => ((fields as Record<string, Values | undefined>)[name] ?? []).length > 0);
  const http = (rule.from ?? []).some(({ source }) => ofHttp(source)) || (rule.to ?? []).some(({ operation }) => ofHttp(operation)) || (rule.when ?? []).some(({ key }) => isHttpKey(key));
  if (http && (action ?? "ALLOW") === "ALLOW") return undefined;
  const keep = <T extends object>(fields: T): T => Object.fromEntries(Object.entries(fields).filter(([name]) => !HTTP_FIELDS.includes(name))) as T;
  return {
    ...(rule.from && { from: rule.from.map(({ source }) => ({ source: keep(source) })) }),
    ...(rule.to && { to: rule.to.map(({ operation }) => ({ operation: keep(operation) })) }),
    ...(rule.when && { when: rule.when.filter(({ key }) => !isHttpKey(key)) }),
  };
}

type Silent = "AUDIT" | "CUSTOM";
const silent = new WeakMap<Configuration, Record<Silent, Configuration>>();

/** The first rule of an action that decides nothing here, or undefined. */
export function matchOf(configuration: Configuration, request: Request, action: Silent): string | undefined {
  let known = silent.get(configuration);
  if (!known) {
    const as = (of: Silent): Configuration => ({ ...configuration, policies: configuration.policies.filter(({ spec }) => spec.action === of).map((policy) => ({ ...policy, spec: { ...policy.spec, action: "DENY" as const } })) });
    silent.set(configuration, (known = { AUDIT: as("AUDIT"), CUSTOM: as("CUSTOM") }));
  }
  if (known[action].policies.length === 0) return undefined;
  const { allowed, rule } = decide(known[action], request);
  return allowed ? undefined : rule;
}

type Decision = { allowed: boolean; rule: string };
const deciders = new WeakMap<Configuration, Map<string, (request: Request) => Decision>>();

/** Decides one request: what applies, DENY before ALLOW, the first name in Envoy's order. The configuration must stay as it is. */
export function decide(configuration: Configuration, request: Request, dryRun = false): Decision {
  let known = deciders.get(configuration);
  if (!known) deciders.set(configuration, (known = new Map()));
  const index = configuration.workloads?.findIndex(({ routes = [] }) => routes.includes(request.route ?? "")) ?? -1;
  const key = `${dryRun}${index}`;
  let decider = known.get(key);
  if (!decider) known.set(key, (decider = deciderFor(configuration, index, dryRun)));
  return decider(request);
}

/** @param index of the workload; -1 is the node itself */
function deciderFor(configuration: Configuration, index: number, dryRun: boolean): (request: Request) => Decision {
  const { rootNamespace = "istio-system", trustDomain: own = "cluster.local", namespace: here = "default" } = configuration;
  const workload = configuration.workloads?.[index] ?? { namespace: here, labels: configuration.labels };
  const applying = configuration.policies.filter(({ metadata, spec }) => {
    const ns = metadata.namespace ?? here;
    if (spec.action === "AUDIT" || spec.action === "CUSTOM") return false;
    // The spellings of Go's strconv.ParseBool.
    if (["1", "t", "T", "TRUE", "true", "True"].includes(metadata.annotations?.["istio.io/dry-run"] ?? "") !== dryRun) return false;
    return (ns === rootNamespace || ns === workload.namespace)
      && Object.entries(spec.selector?.matchLabels ?? {}).every(([key, value]) => workload.labels?.[key] === value);
  });
  const rules = applying.flatMap(({ metadata, spec }) => {
    const ns = metadata.namespace ?? here;
    const translation = new Translation([own, ...(configuration.trustDomainAliases ?? [])], ns);
    return (spec.rules ?? []).flatMap((written, at) => {
      const rule = configuration.protocol === "tcp" ? onTcp(written, spec.action) : written;
      return rule === undefined ? [] : [{
        deny: spec.action === "DENY",
        order: `ns[${ns}]-policy[${metadata.name}]-rule[${at}]`,
        id: `${ns}/${metadata.name}#${at}`,
        matches: translation.rule(rule),
      }];
    });
  }).sort((a, b) => (a.order < b.order ? -1 : 1));
  const restricted = applying.some(({ spec }) => spec.action !== "DENY");
  return (request) => {
    const deny = rules.find((rule) => rule.deny && rule.matches(request));
    if (deny) return { allowed: false, rule: deny.id };
    if (!restricted) return { allowed: true, rule: "none" };
    const allow = rules.find((rule) => !rule.deny && rule.matches(request));
    return allow ? { allowed: true, rule: allow.id } : { allowed: false, rule: "none" };
  };
}
