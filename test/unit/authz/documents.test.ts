import { Ajv2020 } from "ajv/dist/2020.js";
import fc from "fast-check";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { beforeAll, describe, expect, test } from "vitest";
import { parse } from "yaml";
import { usedCapabilities } from "../../../harness/compose/emit/signing.ts";
import { buildFilter } from "../../../harness/build/index.ts";
import { everything } from "./arbitraries.ts";
import { payload, signed, trust } from "../bundle/support.ts";
import { Core } from "./core.ts";

const read = (name: string) => readFileSync(new URL(`../../../filters/authz/${name}`, import.meta.url), "utf8");
const validate = new Ajv2020({ strict: true, strictTypes: false, useDefaults: false }).compile(JSON.parse(read("config.schema.json")) as object);

let core: Core;
beforeAll(async () => {
  core = await Core.load();
});

/** The core reads the policies; identity, denial and the like are the filter's. */
function policiesOnly(configuration: Record<string, unknown>) {
  const { identity: _identity, directAddress: _directAddress, denial: _denial, logDenials: _logDenials, strictPaths: _strictPaths, ...rest } = configuration;
  return rest;
}

interface Plugin {
  configuration: { "@type": string; value: string };
  capability_restriction_config: { allowed_capabilities: Record<string, unknown> };
}
const plugin = () => {
  const found: Plugin[] = [];
  JSON.stringify(parse(read("envoy.yaml")), (key, value: unknown) => {
    if (key === "config" && typeof value === "object" && value !== null && "vm_config" in value) found.push(value as unknown as Plugin);
    return value;
  });
  return found[0]!;
};

describe("what a reader copies works", () => {
  test("the README's configuration", () => {
    const configuration = JSON.parse(/```json\n(.*?)```/s.exec(read("README.md"))![1]!) as Record<string, unknown>;
    expect(validate(configuration), JSON.stringify(validate.errors)).toBe(true);
    expect(core.configure(policiesOnly(configuration))).toBe("");
    const peer = "spiffe://cluster.local/ns/prod/sa/frontend";
    expect(core.decide({ peer, method: "GET", path: "/reviews/1" })).toEqual({ allowed: true, rule: "prod/allow-frontend#0" });
    expect(core.decide({ peer, method: "POST", path: "/reviews/1" })).toEqual({ allowed: false, rule: "none" });
  });

  test("envoy.yaml's", () => {
    const { "@type": type, value } = plugin().configuration;
    expect(type).toBe("type.googleapis.com/google.protobuf.StringValue");
    const configuration = JSON.parse(value) as Record<string, unknown>;
    expect(validate(configuration), JSON.stringify(validate.errors)).toBe(true);
    expect(core.configure(policiesOnly(configuration))).toBe("");
    expect(core.decide({ peer: "spiffe://cluster.local/ns/dev/sa/x" })).toEqual({ allowed: false, rule: "prod/deny-dev#0" });
    expect(core.decide({ direct: "192.0.2.7" })).toEqual({ allowed: false, rule: "prod/deny-dev#1" });
  });
});

test("envoy.yaml grants what the module uses, and nothing else", async () => {
  const outDir = mkdtempSync(join(tmpdir(), "selvedge-authz-"));
  try {
    const { imports, exports } = await buildFilter({ entry: "filters/authz/assembly/index.ts", outDir });
    const used = [...imports.map((name) => name.replace("env.", "")), ...exports.filter((name) => name.startsWith("proxy_on_"))];
    expect(Object.keys(plugin().capability_restriction_config.allowed_capabilities).sort()).toEqual(usedCapabilities("authz", used, {}).sort());
  } finally {
    rmSync(outDir, { recursive: true });
  }
}, 120_000);

describe("the schema", () => {
  test("takes signed configurations, and none that mixes them with unsigned policies", () => {
    const mounted = { signing: trust(), bundle: signed(payload(1)) };
    const source = { cluster: "c", path: "/b" };
    for (const each of [mounted, { ...mounted, source }, { signing: trust(), source }]) expect(validate(each), JSON.stringify(validate.errors)).toBe(true);
    for (const each of [{ ...mounted, policies: [] }, { ...mounted, namespace: "prod" }, { signing: trust() }, { policies: [], bundle: mounted.bundle }]) expect(validate(each)).toBe(false);
  });

  test("takes what the filter takes", () => {
    fc.assert(fc.property(everything, (configuration) => {
      const json = JSON.parse(JSON.stringify(configuration)) as object;
      expect(validate(json), JSON.stringify(validate.errors)).toBe(true);
    }), { numRuns: 200 });
  });

  test.each<[string, object]>([
    ["no policies", {}],
    ["an unknown field", { policies: [], polices: [] }],
    ["a policy of another kind", { policies: [{ kind: "X", metadata: { name: "a" }, spec: {} }] }],
    ["a policy without a name", { policies: [{ metadata: {}, spec: {} }] }],
    ["a workload without namespace", { policies: [], workloads: [{}] }],
    ["a status that denies nothing", { policies: [], denial: { status: 200 } }],
    ["an identity without source", { policies: [], identity: {} }],
  ])("refuses %s", (_, configuration) => expect(validate(configuration)).toBe(false));
});
