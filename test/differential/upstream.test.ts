import { readFileSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, describe, expect, test } from "vitest";
import { parse, parseAllDocuments } from "yaml";
import type { Config, Json } from "../../harness/compose/emit/config.ts";
import { attributes } from "./istio-attributes.ts";
import { toRbac, type Action, type IstioPolicy, type Mesh } from "./istio.ts";
import { istioSources } from "./upstream.ts";

/** Trust domains that upstream's test gives to an input. */
const TRUST_DOMAINS: Record<string, string[]> = {
  "http/simple-policy-td-aliases": ["td1", "cluster.local"],
  "http/simple-policy-multiple-td-aliases": ["td1", "cluster.local", "some-td"],
  "http/simple-policy-principal-with-wildcard": ["td1", "foobar"],
  "http/td-aliases-source-principal": ["new-td", "old-td", "some-trustdomain"],
};

/** CUSTOM: input → outputs, and whether upstream's mesh has such a provider. */
const CUSTOM: Record<string, { outputs: string[]; known: boolean }> = {
  "http/custom-simple-http": { outputs: ["http/custom-grpc-provider-no-namespace", "http/custom-grpc-provider", "http/custom-http-provider"], known: true },
  "http/custom-bad-multiple-providers": { outputs: ["http/custom-bad-multiple-providers"], known: false },
  "tcp/custom-both-http-tcp": { outputs: ["tcp/custom-both-http-tcp"], known: true },
};

/** What isn't translated here, by output. */
const ELSEWHERE: [RegExp, string][] = [
  [/custom-(grpc|http)-provider.*-out2$|custom-both-http-tcp-out2$/, "an ext_authz filter, which compose writes"],
  [/allow-host-before-111/, "no test of Istio's uses this pair any more"],
];

let security: string;
let directory: string;
beforeAll(async () => {
  security = join(await istioSources(), "pilot/pkg/security/authz");
  directory = join(security, "builder/testdata");
}, 300_000);

const read = (name: string): unknown[] =>
  parseAllDocuments(readFileSync(join(directory, `${name}.yaml`), "utf8")).map((document) => document.toJS() as unknown).filter((document) => document !== null);
const names = (): string[] => ["http", "tcp"].flatMap((folder) => readdirSync(join(directory, folder)).map((file) => `${folder}/${file.replace(/\.yaml$/, "")}`));

/** The `typed_config` of each filter that istiod makes of an input, in order. */
function filtersOf(input: string): Config[] {
  const policies = read(`${input}-in`) as IstioPolicy[];
  const tcp = input.startsWith("tcp/");
  const mesh: Mesh = { trustDomains: TRUST_DOMAINS[input] ?? [], tcp };
  const type = `type.googleapis.com/envoy.extensions.filters.${tcp ? "network" : "http"}.rbac.v3.RBAC`;
  const common: Config = { "@type": type, ...(tcp && { stat_prefix: "tcp." }) };
  const custom = CUSTOM[input];
  if (custom) {
    const providers = [...new Set(policies.map(({ spec }) => spec.provider!.name))].sort();
    return providers.map((provider): Config => {
      const { rules } = toRbac(policies.filter(({ spec }) => spec.provider!.name === provider), "DENY", mesh, `istio-ext-authz-${provider}-`);
      if (custom.known) return { ...common, shadow_rules: rules!, shadow_rules_stat_prefix: "istio_ext_authz_" };
      const bad = Object.entries(rules!.policies as Config).map(([name, policy]) => [`${name}-deny-due-to-bad-CUSTOM-action`, policy]);
      return { ...common, rules: { ...rules, policies: Object.fromEntries(bad) as Config } };
    });
  }
  return (["AUDIT", "DENY", "ALLOW"] as const).flatMap((action): Config[] => {
    const those = policies.filter(({ spec }) => (spec.action ?? "ALLOW") === action);
    if (those.length === 0) return [];
    const translated: Action = action === "AUDIT" ? "LOG" : action;
    const { rules, shadowRules } = toRbac(those, translated, mesh);
    // istiod asks the action of trial rules even where there are none, and then it is ALLOW; LOG has no prefix.
    const trial = shadowRules === undefined ? "ALLOW" : translated;
    const prefix = trial === "LOG" ? undefined : `istio_dry_run_${trial.toLowerCase()}_`;
    return [{ ...common, ...(rules && { rules }), ...(shadowRules && { shadow_rules: shadowRules }), ...(prefix !== undefined && { shadow_rules_stat_prefix: prefix }) }];
  });
}

/** Upstream's names are in camel case; ours, in snake case. Names of policies are no field names. */
function snake(value: Json): Json {
  if (Array.isArray(value)) return value.map(snake);
  if (value === null || typeof value !== "object") return value;
  return Object.fromEntries(Object.entries(value as Config).map(([key, each]) => [/^[a-z][A-Za-z]*$/.test(key) ? key.replace(/[A-Z]/g, (c) => `_${c.toLowerCase()}`) : key, snake(each as Json)])) as Json;
}

describe("our translation is Istio's", () => {
  test("for every pair of input and output that Istio publishes", () => {
    const unequal: string[] = [];
    const covered = new Set<string>();
    for (const input of names().filter((name) => name.endsWith("-in")).map((name) => name.slice(0, -"-in".length))) {
      const filters = filtersOf(input);
      for (const output of CUSTOM[input]?.outputs ?? [input]) {
        for (const kind of ["", "extended-"]) {
          const base = output.replace("/", `/${kind}`);
          const files = names().filter((name) => name === `${base}-out` || /-out\d$/.test(name) && name.slice(0, -"-outN".length) === base);
          if (!CUSTOM[input] && files.length !== 0 && files.length !== filters.length) unequal.push(`${base}: ${filters.length} filters instead of ${files.length}`);
          files.forEach((file, index) => {
            covered.add(file);
            if (ELSEWHERE.some(([pattern]) => pattern.test(file))) return;
            try {
              expect(filters[index]).toEqual(snake(((read(file)[0] as Config).typedConfig) as Json));
            } catch (error) {
              unequal.push(`${file}: ${(error as Error).message.slice(0, 2000)}`);
            }
          });
        }
      }
    }
    // A provider that isn't valid has the input of the others.
    for (const file of ["http/custom-bad-out", "http/extended-custom-bad-out"]) {
      covered.add(file);
      CUSTOM["http/custom-simple-http"]!.known = false;
      expect(filtersOf("http/custom-simple-http")).toEqual([snake(((read(file)[0] as Config).typedConfig) as Json)]);
      CUSTOM["http/custom-simple-http"]!.known = true;
    }
    const outputs = names().filter((name) => /-out\d?$/.test(name));
    const elsewhere = outputs.filter((name) => ELSEWHERE.some(([pattern]) => pattern.test(name)));
    process.stdout.write(`istio's pairs: ${outputs.length - elsewhere.length - unequal.length} of ${outputs.length} equal, ${unequal.length} different, ${elsewhere.length} not compared (${ELSEWHERE.map(([, why]) => why).join("; ")})\n`);
    expect(unequal).toEqual([]);
    expect(outputs.filter((name) => !covered.has(name) && !elsewhere.includes(name))).toEqual([]);
    expect(outputs.length).toBeGreaterThan(40);
  });

  test("for every issuer and subject in the tables of its own tests", () => {
    const source = readFileSync(join(security, "model/generator_test.go"), "utf8");
    const table = source.slice(source.indexOf("func TestRequestPrincipal("), source.indexOf("func TestGenerator("));
    const cases = [...table.matchAll(/in:\s+"([^"]*)",\s+want: `([^`]*)`/g)].map(([, value, want]) => [value!, want!] as const);
    for (const [value, want] of cases) expect([value, attributes("request.auth.principal")!.matchers("request.auth.principal", [value], "ns")]).toEqual([value, [parse(want)]]);
    expect(cases.length).toBeGreaterThan(7);
  });

  test("for every nested claim and every metadata key in them", () => {
    const nested = readFileSync(join(security, "model/util_test.go"), "utf8");
    const names = [...nested.slice(nested.indexOf("func TestExtractNameInNestedBrackets(")).matchAll(/\{s: "([^"]*)", want: \[\]string\{([^}]*)\}\}/g)];
    for (const [, brackets, want] of names) {
      const [{ metadata }] = attributes("request.auth.claims[")!.matchers(`request.auth.claims${brackets}`, ["v"], "ns") as [{ metadata: { path: { key: string }[] } }];
      expect(metadata.path.map(({ key }) => key)).toEqual(["payload", ...(JSON.parse(`[${want}]`) as string[])]);
    }
    expect(names.length).toBeGreaterThan(5);
    const source = readFileSync(join(security, "model/generator_test.go"), "utf8");
    const metadata = [...source.matchAll(/key: +"(experimental[^"]*)",\s+value: +"([^"]*)",\s+want: yamlPermission\(t, `([^`]*)`\)/g)];
    for (const [, key, value, want] of metadata) expect(attributes("experimental.envoy.filters.")!.matchers(key!, [value!], "ns")).toEqual([snake(parse(want!) as Json)]);
    expect(metadata.length).toBe(2);
  });
});
