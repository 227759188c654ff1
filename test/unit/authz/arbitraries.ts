/** Random policies and requests out of few words, so that they meet: nearly matching is what finds mistakes. */
import fc from "fast-check";
import type { Json } from "../../../harness/host/proto.ts";
import type { Request } from "./core.ts";
import type { Condition, Configuration, Operation, Policy, Rule, Source, Values } from "./oracle.ts";

const pick = <T>(...list: T[]) => fc.constantFrom(...list);
const some = (values: fc.Arbitrary<string>) => fc.array(values, { minLength: 1, maxLength: 3 });
/** Now and then a long list, which is compiled to another kind of set. */
const list = (values: fc.Arbitrary<string>): fc.Arbitrary<Values> =>
  fc.oneof({ weight: 9, arbitrary: some(values) }, { weight: 1, arbitrary: fc.array(values, { minLength: 9, maxLength: 14 }) });

const namespace = pick("prod", "dev", "ns", "sa", "istio-system");
const account = pick("web", "api", "ns", "sa", "default");
const domain = pick("cluster.local", "td1", "td2", "old-td1", "ns");

/** A text with wildcards where they mean something, and where they don't. */
const wild = (texts: fc.Arbitrary<string>) =>
  fc.tuple(texts, fc.nat(12), fc.nat(12)).map(([text, form, cut]) => {
    const at = cut % (text.length + 1);
    switch (form) {
      case 0: return "*";
      case 1: case 2: return `*${text.slice(at)}`;
      case 3: case 4: return `${text.slice(0, at)}*`;
      case 5: return `${text.slice(0, at)}*${text.slice(at)}`;
      case 6: return `*${text.slice(at)}*`;
      default: return text;
    }
  });

const id = fc.oneof(
  { weight: 8, arbitrary: fc.tuple(domain, namespace, account).map(([td, ns, sa]) => `${td}/ns/${ns}/sa/${sa}`) },
  { weight: 1, arbitrary: pick("td1", "td1/", "/ns/prod/sa/web", "td1/ns/prod", "td1/ns/prod/", "td1/ns//sa/web", "td1/x/ns/prod/y/sa/web/z",
    "td1/ns/prod/sa/web/", "td1/ns/prod/ns/dev/sa/web", "td1/ns/prod/xsa/web", "td1/ns/prod/x/sa/web", "td1/ns/prod//sa/web", "a/ns/ns/ns/prod/sa/sa/sa/api/b") },
);

const path = pick("/", "/a", "/a/b", "/a/b/c", "/api/v1/users", "/api/v2/users", "/admin/x", "/a/b.css", "/a//b", "/A", "/a*b", "/a/[b", "/api/v1/users/7/x");
const template = pick("/{*}", "/a/{*}", "/a/{**}", "/{**}", "/api/{*}/users", "/api/{*}/users/{**}", "/{*}/b/{**}", "/a/{*}.css", "/{**}/c", "/a/{**}.css", "/api/{**}/x");
const host = pick("web.prod", "web.prod:8080", "WEB.prod", "api.dev", "x.api.dev");
const method = pick("GET", "POST", "get", "DELETE");
const port = pick("80", "443", "8080", "0");
const four = pick("10.0.0.1", "10.0.0.2", "10.1.2.3", "192.168.1.1", "0.0.0.0", "255.255.255.255");
const six = pick("::1", "2001:db8::1", "2001:db8:0:1::2", "fe80::1:2:3", "::ffff:10.0.0.1", "::", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff");
const cidr = fc.oneof(
  four,
  fc.tuple(four, fc.integer({ min: 0, max: 32 })).map(([a, n]) => `${a}/${n}`),
  six,
  fc.tuple(six.filter((a) => !a.includes(".")), fc.integer({ min: 0, max: 128 })).map(([a, n]) => `${a}/${n}`),
  fc.integer({ min: 96, max: 128 }).map((n) => `::ffff:10.0.0.1/${n}`),
);
const sni = pick("web.prod", "api.dev");
const headerName = pick("x-a", "X-B", "host", ":path", ":authority", "x-very-long-header-name-that-is-longer-than-sixty-three-characters-in-all");
const headerValue = pick("1", "2", "12", "admin", "");

const issuer = pick("https://idp", "https://idp/a", "idp");
const subject = pick("alice", "bob", "a/alice", "");
const requestPrincipal = fc.oneof(
  wild(fc.tuple(issuer, subject).map(([iss, sub]) => `${iss}/${sub}`)),
  pick("*/alice", "*idp/bob", "idp/*", "https://idp/a*", "https://*", "idp", "*/*", "*/a*", "*lice", "/", "/alice", "idp/"),
);
const claimName = pick("role", "aud", "iss", "sub", "azp", "a", "a][b", "a][0", "groups", "0", "a b.c", "a\"\\b");
const claimText = pick("admin", "user", "12345678", "0", "\n", "a\nb", "\u0001", "readwrite", "", "\u0000");
const claimValue = nonemptyText(wild(claimText.filter((text) => text !== "\n" && text !== "\u0000")));
const scalar: fc.Arbitrary<Json> = fc.oneof({ weight: 5, arbitrary: claimText }, { weight: 1, arbitrary: pick<Json>(1, 1.5, true, null, 6.013470016999068e-154, 1e100) });
const someJson: fc.Arbitrary<Json> = fc.oneof(
  { weight: 4, arbitrary: scalar }, { weight: 3, arbitrary: fc.array(scalar, { maxLength: 3 }) },
  { weight: 1, arbitrary: fc.dictionary(pick("b", "0", "", "admin"), fc.oneof(scalar, fc.array(scalar, { maxLength: 2 })), { maxKeys: 2 }) },
  { weight: 1, arbitrary: fc.array(fc.array(scalar, { maxLength: 2 }), { maxLength: 2 }) },
);
const names = ["role", "aud", "azp", "a", "groups", "0", "a b.c", "a\"\\b"];
const claims: fc.Arbitrary<Record<string, Json>> = fc.tuple(
  fc.record({ iss: fc.oneof(issuer, someJson), sub: fc.oneof({ weight: 3, arbitrary: subject }, { weight: 1, arbitrary: someJson }) }, { requiredKeys: [] }),
  fc.dictionary(pick(...names), someJson, { maxKeys: 5 }),
).map(([a, b]) => ({ ...a, ...b }));
const filterName = pick("envoy.filters.http.x", "envoy.filters.http.jwt_authn");

function nonemptyText(values: fc.Arbitrary<string>): fc.Arbitrary<string> {
  return values.filter((value) => value.length > 0);
}

const nonempty = (values: fc.Arbitrary<string>) => values.filter((value) => value.length > 0);

/** Some of the fields, at least one. */
const fieldsOf = <T extends object>(fields: Record<string, fc.Arbitrary<Values>>): fc.Arbitrary<T> =>
  fc.subarray(Object.keys(fields), { minLength: 1, maxLength: 3 }).chain((keys) =>
    fc.record(Object.fromEntries(keys.map((key) => [key, fields[key]!])))) as unknown as fc.Arbitrary<T>;

const pairOf = (name: string, values: fc.Arbitrary<string>): Record<string, fc.Arbitrary<Values>> => ({
  [name]: list(values), [`not${name[0]!.toUpperCase()}${name.slice(1)}`]: list(values),
});

const accountValue = fc.oneof(account, fc.tuple(namespace, account).map(([ns, sa]) => `${ns}/${sa}`));
const trustDomainValue = wild(domain).filter((value) => /^\*?[^*]*$|^[^*]*\*$/.test(value));
const namespaceValue = wild(namespace);

const source: fc.Arbitrary<Source> = fc.oneof(
  { weight: 4, arbitrary: fieldsOf<Source>({
    ...pairOf("principals", wild(id)), ...pairOf("namespaces", namespaceValue), ...pairOf("trustDomains", trustDomainValue),
    ...pairOf("remoteIpBlocks", cidr), ...pairOf("ipBlocks", cidr), ...pairOf("requestPrincipals", requestPrincipal),
  }) },
  { weight: 1, arbitrary: fieldsOf<Source>({ ...pairOf("serviceAccounts", accountValue), ...pairOf("remoteIpBlocks", cidr) }) },
);

const operation: fc.Arbitrary<Operation> = fieldsOf<Operation>({
  ...pairOf("hosts", wild(host)), ...pairOf("ports", port), ...pairOf("methods", wild(method)),
  ...pairOf("paths", fc.oneof({ weight: 3, arbitrary: wild(path) }, { weight: 1, arbitrary: template })),
});

const whenFields: [string, fc.Arbitrary<string>][] = [
  ["source.principal", wild(id)], ["source.namespace", namespaceValue], ["source.serviceAccount", accountValue],
  ["source.trustDomain", trustDomainValue], ["source.ip", cidr], ["remote.ip", cidr], ["destination.ip", cidr], ["destination.port", port],
  ["connection.sni", wild(sni)], ["request.auth.principal", requestPrincipal], ["request.auth.audiences", claimValue], ["request.auth.presenter", claimValue],
];
const condition: fc.Arbitrary<Condition> = fc.oneof(
  fc.tuple(headerName, fc.nat(2), list(nonempty(wild(headerValue))), list(nonempty(wild(headerValue)))).map(([name, which, values, notValues]) => ({
    key: `request.headers[${name}]`, ...(which !== 1 && { values }), ...(which !== 0 && { notValues }),
  })),
  fc.tuple(claimName, fc.nat(2), list(claimValue), list(claimValue)).map(([name, which, values, notValues]) => ({
    key: `request.auth.claims[${name}]`, ...(which !== 1 && { values }), ...(which !== 0 && { notValues }),
  })),
  fc.tuple(filterName, claimName.filter((name) => !name.includes("]")), fc.boolean(), fc.nat(2), list(claimValue), list(claimValue)).map(([filter, name, inList, which, values, notValues]) => {
    const written = (all: Values) => all.map((value) => (inList ? `[${value}]` : value));
    return { key: `experimental.${filter}[${name}]`, ...(which !== 1 && { values: written(values) }), ...(which !== 0 && { notValues: written(notValues) }) };
  }),
  fc.tuple(pick(...whenFields), fc.nat(2)).chain(([[key, values], which]) =>
    fc.record({ key: fc.constant(key), ...(which !== 1 && { values: list(values) }), ...(which !== 0 && { notValues: list(values) }) }) as fc.Arbitrary<Condition>),
);

const rule: fc.Arbitrary<Rule> = fc.record({
  from: fc.array(fc.record({ source }), { minLength: 1, maxLength: 2 }),
  to: fc.array(fc.record({ operation }), { minLength: 1, maxLength: 2 }),
  when: fc.array(condition, { maxLength: 2 }),
}, { requiredKeys: [] });

const labels = fc.dictionary(pick("app", "tier"), pick("x", "y"), { maxKeys: 2 });

type Action = Policy["spec"]["action"];

const policyOf = (actions: Action[]) => fc.record({
  namespace: fc.option(pick("prod", "dev", "istio-system"), { nil: undefined }),
  action: pick(...actions),
  rules: fc.oneof({ weight: 6, arbitrary: fc.array(rule, { minLength: 1, maxLength: 3 }) }, { weight: 1, arbitrary: fc.array(rule, { minLength: 11, maxLength: 13 }) }),
  none: fc.nat(20),
  selector: fc.option(labels, { nil: undefined, freq: 1 }),
  dryRun: fc.nat(9),
});

const configurationsOf = (actions: Action[], protocols: Configuration["protocol"][]): fc.Arbitrary<Configuration> => fc.record({
  protocol: pick(...protocols),
  namespace: pick("prod", "dev", undefined),
  labels,
  rootNamespace: pick(undefined, "prod"),
  trustDomain: pick(undefined, "td1"),
  trustDomainAliases: pick(undefined, ["td2"], ["td2", "old-td1"], ["*-td1", "cluster.local"]),
  policies: fc.array(policyOf(actions), { maxLength: 8 }),
  workloads: fc.option(fc.array(fc.record({ namespace: pick("prod", "dev", "istio-system"), labels }), { maxLength: 3 }), { nil: undefined }),
}).map(({ policies, workloads, ...rest }) => ({
  ...rest,
  // Names in an order that plain numbers would not give.
  policies: policies.map(({ namespace: ns, action, rules, none, selector, dryRun }, index): Policy => ({
    metadata: {
      name: ["a", "a-b", "a.b", "ab", "b", "a0", "z", "0"][index]!,
      ...(ns && { namespace: ns }),
      ...(dryRun === 0 && action !== "AUDIT" && action !== "CUSTOM" && { annotations: { "istio.io/dry-run": "true", other: "x" } }),
    },
    spec: {
      ...(action && { action }),
      ...(none === 0 && (action ?? "ALLOW") === "ALLOW" ? {} : { rules }),
      ...(action === "CUSTOM" && { provider: { name: "ext" } }),
      ...(selector && { selector: { matchLabels: selector } }),
    },
  })),
  ...(workloads && { workloads: workloads.map((workload, index) => ({ ...workload, routes: [`r${index}`, `s${index}`] })) }),
}));

/** Of requests, and what decides on them. */
export const configurations = configurationsOf(["ALLOW", "ALLOW", "DENY", undefined], [undefined]);
/** Of requests. */
export const onRequests = configurationsOf(["ALLOW", "ALLOW", "ALLOW", "DENY", "DENY", "AUDIT", "CUSTOM", undefined], [undefined]);
/** Of connections, which no route leads to a workload. */
export const onConnections = configurationsOf(["ALLOW", "ALLOW", "DENY", "AUDIT", undefined], ["tcp"]).map(({ workloads: _, ...rest }): Configuration => rest);
/** And of all that the engine takes. */
export const everything = configurationsOf(["ALLOW", "ALLOW", "ALLOW", "DENY", "DENY", "AUDIT", "CUSTOM", undefined], ["http", "http", "tcp", undefined]);

const address = fc.oneof(four, six);
const optional = <T>(value: fc.Arbitrary<T>) => fc.option(value, { nil: undefined, freq: 6 });

export const requests: fc.Arbitrary<Request> = fc.record({
  method: optional(method),
  path: optional(fc.tuple(path, pick("", "", "?q=/a", "#f", "/")).map(([p, rest]) => p + rest)),
  host: optional(fc.oneof(host, fc.constant(""))),
  headers: fc.array(fc.tuple(headerName.filter((name) => !name.startsWith(":") && name !== "host").map((name) => name.toLowerCase()), headerValue), { maxLength: 4 }),
  peer: optional(fc.oneof({ weight: 9, arbitrary: id.map((i) => `spiffe://${i}`) }, { weight: 1, arbitrary: pick("https://x/ns/prod/", "prod", "spiffe://", "x/ns/prod/sa/web") })),
  sni: optional(fc.oneof(sni, fc.constant(""))),
  route: optional(pick("r0", "s1", "r2", "r9", "")),
  remote: optional(fc.oneof(address.map((a) => (a.includes(":") ? `[${a}]:80` : `${a}:80`)), fc.constant("/run/socket"))),
  destination: optional(address.map((a) => (a.includes(":") ? `[${a}]:80` : `${a}:80`))),
  direct: optional(address),
  port: optional(pick(80, 443, 8080, 0)),
  claims: fc.option(claims, { nil: undefined }),
  metadata: fc.option(fc.dictionary(pick("envoy.filters.http.x"), fc.dictionary(pick(...names), someJson, { maxKeys: 5 })), { nil: undefined }),
});
