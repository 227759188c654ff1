/** Each attribute of a policy as an Envoy matcher: istiod's generators, and the string matchers they use. */
import type { Config } from "../../harness/compose/emit/config.ts";
import { typed } from "../../harness/compose/emit/config.ts";

/** Where RBAC has it. */
export type Part = "permission" | "principal";

export interface Attribute {
  part: Part;
  httpOnly?: boolean;
  /** One matcher already stands for all values. */
  together?: boolean;
  matchers: (key: string, values: string[], policyNamespace: string) => Config[];
}

/** Undefined: no such attribute. Fields of operations, which `when` doesn't have, go by their names. */
export function attributes(key: string): Attribute | undefined {
  if (Object.hasOwn(TABLE, key)) return TABLE[key];
  if (key.startsWith("request.headers")) return HEADERS;
  if (key.startsWith("request.auth.claims")) return CLAIMS;
  return key.startsWith("experimental.envoy.filters.") ? METADATA : undefined;
}

const each = (part: Part, matcher: (value: string, policyNamespace: string) => Config, httpOnly = false): Attribute => ({
  part,
  httpOnly,
  matchers: (_key, values, namespace) => values.map((value) => matcher(value, namespace)),
});
const authenticated = (matcher: (value: string, policyNamespace: string) => Config): Attribute =>
  each("principal", (value, namespace) => ({ authenticated: { principal_name: matcher(value, namespace) } }));

const claim = (name: string): Attribute => ({ part: "principal", httpOnly: true, together: true, matchers: (_, values) => claims([name], values) });

const TABLE: Record<string, Attribute> = {
  "destination.ip": each("permission", (value) => ({ destination_ip: cidr(value) })),
  "destination.port": each("permission", (value) => ({ destination_port: Number(value) })),
  "connection.sni": each("permission", (value) => ({ requested_server_name: text(value) })),
  "source.ip": each("principal", (value) => ({ direct_remote_ip: cidr(value) })),
  "remote.ip": each("principal", (value) => ({ remote_ip: cidr(value) })),
  "source.principal": authenticated((value) => text(value, "spiffe://")),
  "source.namespace": authenticated((value) => regex(`.*/ns/${value.split("*").map(quote).join(".*")}/.*`)),
  "source.serviceAccount": authenticated((value, namespace) => {
    const slash = value.indexOf("/");
    const ns = slash < 0 ? namespace : value.slice(0, slash);
    return regex(`spiffe://.+/ns/${quote(ns)}/(.+/|)sa/${quote(value.slice(slash + 1))}(/.+)?`);
  }),
  "source.trustDomain": authenticated(trustDomain),
  "request.auth.principal": { part: "principal", httpOnly: true, together: true, matchers: (_, values) => values.map(requestPrincipal) },
  "request.auth.audiences": claim("aud"),
  "request.auth.presenter": claim("azp"),
  hosts: each("permission", (value) => ({ header: header(":authority", value, true) }), true),
  methods: each("permission", (value) => ({ header: header(":method", value) }), true),
  paths: each("permission", (value) => (/\{\*\*?\}/.test(value) ? template(value) : { url_path: { path: text(value) } }), true),
};

const HEADERS: Attribute = {
  part: "principal",
  httpOnly: true,
  matchers: (key, values) => values.map((value) => ({ header: header(key.slice("request.headers[".length, -1), value) })),
};

const CLAIMS: Attribute = {
  part: "principal",
  httpOnly: true,
  together: true,
  matchers: (key, values) => claims(nestedNames(key.slice("request.auth.claims".length)), values),
};

const METADATA: Attribute = {
  part: "permission",
  together: true,
  matchers: (key, values) => {
    if (values.length === 0) return [];
    const name = key.slice("experimental.".length).replace(/\]$/, "");
    const bracket = name.indexOf("[");
    const value = (each: string): Config =>
      each.startsWith("[") && each.endsWith("]") ? { list_match: { one_of: { string_match: text(each.replace(/^[[\]]+|[[\]]+$/g, "")) } } } : { string_match: text(each) };
    return [metadata(name.slice(0, bracket), [name.slice(bracket + 1)], anyOf(values.map(value)))];
  },
};

/** `[a][b]` → a, b; what isn't well nested is one name. */
function nestedNames(brackets: string): string[] {
  return /^(\[[^[\]]*\])+$/.test(brackets) ? [...brackets.matchAll(/\[([^[\]]*)\]/g)].map(([, name]) => name!) : [brackets.slice(1, -1)];
}

function claims(path: string[], values: string[]): Config[] {
  if (values.length === 0) return [];
  const value = anyOf(values.map((each) => ({ string_match: text(each) })));
  return [{ metadata: jwt(path, { or_match: { value_matchers: [{ list_match: { one_of: value } }, value] } }) }];
}

const anyOf = (values: Config[]): Config => (values.length === 1 ? values[0]! : { or_match: { value_matchers: values } });
const jwt = (path: string[], value: Config): Config => metadata("envoy.filters.http.jwt_authn", ["payload", ...path], value).metadata as Config;
const metadata = (filter: string, path: string[], value: Config): Config => ({ metadata: { filter, path: path.map((key) => ({ key })), value } });

/** Issuer and subject, cut at the last slash. */
function requestPrincipal(value: string): Config {
  const slash = value.lastIndexOf("/");
  const both = slash >= 0;
  const [iss, sub] = both ? [value.slice(0, slash), value.slice(slash + 1)] : [value, ""];
  const any = regex(".+");
  const [issuer, subject] = ((): [Config, Config] => {
    if (value === "*") return [any, any];
    if (value.startsWith("*")) return both ? [iss === "*" ? any : { suffix: iss.slice(1) }, { exact: sub }] : [any, { suffix: value.slice(1) }];
    if (value.endsWith("*")) return both ? [{ exact: iss }, sub === "*" ? any : { prefix: sub.slice(0, -1) }] : [{ prefix: value.slice(0, -1) }, any];
    return [{ exact: iss }, { exact: sub }];
  })();
  return { and_ids: { ids: [{ metadata: jwt(["iss"], { string_match: issuer }) }, { metadata: jwt(["sub"], { string_match: subject }) }] } };
}

function trustDomain(value: string): Config {
  if (value === "*") return { prefix: "spiffe://" };
  const star = value.indexOf("*");
  if (star < 0) return { prefix: `spiffe://${value}/` };
  return regex(`spiffe://${quote(value.slice(0, star))}[^/]*${quote(value.slice(star + 1))}/.*`);
}

function text(value: string, prefix = ""): Config {
  if (value === "*") return regex(".+");
  if (value.startsWith("*")) return prefix === "" ? { suffix: value.slice(1) } : regex(`${prefix}.*${quote(value.slice(1))}`);
  return value.endsWith("*") ? { prefix: prefix + value.slice(0, -1) } : { exact: prefix + value };
}

/** In headers `*` is presence, of an empty value too. */
function header(name: string, value: string, ignoreCase = false): Config {
  return value === "*" ? { name, present_match: true } : { name, string_match: { ...text(value), ...(ignoreCase && { ignore_case: true }) } };
}

function template(value: string): Config {
  const path = value.replaceAll("{*}", "*").replaceAll("{**}", "**");
  return { uri_template: { name: "uri-template", typed_config: typed("envoy.extensions.path.match.uri_template.v3.UriTemplateMatchConfig", { path_template: path }) } };
}

function cidr(value: string): Config {
  const [address, bits] = value.split("/") as [string, string | undefined];
  return { address_prefix: address, prefix_len: bits === undefined ? (address.includes(":") ? 128 : 32) : Number(bits) };
}

const regex = (pattern: string): Config => ({ safe_regex: { regex: pattern } });
/** Go's regexp.QuoteMeta. */
const quote = (literal: string): string => literal.replace(/[\\.+*?()|[\]{}^$]/g, "\\$&");
