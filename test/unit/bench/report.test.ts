import { describe, expect, it } from "vitest";
import { inspectModule } from "../../../harness/build/index.ts";
import { emptyModule } from "../../bench/empty.ts";
import type { BenchResult } from "../../bench/index.ts";
import type { Module, Modules } from "../../bench/modules.ts";
import { formatReport } from "../../bench/report.ts";
import { checkLimits, noise, summarizeVariants } from "../../bench/results.ts";
import { makeVariants, selectVariants } from "../../bench/variants.ts";

const module = (kind: Module["kind"]): Module => ({ name: kind, kind, path: `/nowhere/${kind}.wasm`, capabilities: ["proxy_log"], callbacks: ["proxy_on_request_headers"], sizes: { raw: 20_000, gzip: 9_000 } });
const modules: Modules = { filters: { authz: module("authz") }, empty: { authz: module("authz") }, missing: (["canary", "telemetry", "edge"] as const).map((name) => ({ name, reason: `no dist/${name}.wasm` })) };
const COSTS = new Map([["none", [10, 10, 10]], ["empty/authz", [12, 12, 12]], ["authz/10", [15, 14.5, 14]], ["authz/1000", [15, 15, 15]], ["rbac/1000", [110, 110, 110]]]);

function plain(text: string): string {
  return text.replace(/\x1b\[\d+m/g, "");
}

describe("limits", () => {
  it("compare costs above the baseline, and say what wasn't measured", () => {
    const [empty, flat, native, ...rest] = checkLimits(COSTS);
    expect(empty).toMatchObject({ ratio: { value: 2.25 }, verdict: "falls short" });
    expect(flat!.verdict).toBe("not measured");
    expect(native).toMatchObject({ ratio: { value: 0.05 }, verdict: "pass" });
    expect(rest.map(({ verdict }) => verdict)).toEqual(["not measured", "not measured"]);
  });
});

describe("variants", () => {
  const variants = makeVariants(modules, [10, 1_000]);

  it("stay in the list where a module is missing, with the reason", () => {
    expect(variants.find(({ id }) => id === "canary")).toMatchObject({ missing: "no dist/canary.wasm", listener: undefined });
    expect(variants.find(({ id }) => id === "three")?.missing).toBe("no dist/canary.wasm");
    expect(variants.find(({ id }) => id === "authz/10")).toMatchObject({ missing: undefined, denies: true });
    expect(variants.find(({ id }) => id === "rbac/1000")?.listener).toBeDefined();
  });

  it("are chosen by id or by what comes before the slash, with their baselines and their empty module", () => {
    const ids = (only: string[]): string[] => selectVariants(variants, only).map(({ id }) => id);
    expect(ids(["authz"])).toEqual(["none", "empty/authz", "authz/10", "authz/1000", "authz/routed"]);
    expect(ids(["upstream/weighted"])).toEqual(["upstream", "upstream/weighted"]);
    expect(ids(["nothing"])).toEqual([]);
  });
});

describe("an empty module", () => {
  it("is a Proxy-Wasm module with exactly the callbacks asked for", async () => {
    const callbacks = ["proxy_on_context_create", "proxy_on_configure", "proxy_on_request_headers", "proxy_on_log", "proxy_on_delete", "proxy_on_done"];
    const inspection = inspectModule(await emptyModule(callbacks));
    expect(inspection.findings).toEqual([]);
    expect(inspection.callbacks.toSorted()).toEqual(callbacks.toSorted());
    expect(inspection.hostCalls).toEqual([]);
  });
});

describe("the report", () => {
  const variants = makeVariants(modules, [10, 1_000]);
  const result: BenchResult = {
    machine: { cpu: "A CPU", cores: 2, kernel: "6.1", node: "v20" }, envoy: { path: "/usr/bin/envoy", version: "1.40.0" }, source: "schedstat", rounds: 3,
    noise: noise(COSTS), variants: summarizeVariants(variants, COSTS, new Map()), limits: checkLimits(COSTS), modules: [module("authz")],
    footprint: {
      rows: [{ id: "none", title: "no filter", startMs: 43, startCpuMs: 40, rss: 70 * 2 ** 20, allocated: 5 * 2 ** 20, rssPerWorker: -2048, allocatedPerWorker: 1024, wasmPerWorker: null }],
      configureMs: 180,
    },
  };

  it("shows every variant, every limit, and what falls short, as measured", () => {
    const text = plain(formatReport(result));
    expect(text).toMatch(/^none +no filter +10\.00 +\(itself 10\.00 … 10\.00\)$/m);
    expect(text).toMatch(/^authz\/10 +authz, 10 policies +14\.50 +\+4\.50 +\+4\.10 +4\.25 … 4\.75$/m);
    expect(text).toMatch(/^canary +canary 90\/10.* missing: no dist\/canary\.wasm$/m);
    expect(text).toMatch(/empty module +2\.25 +≤ 2\.00 +2\.\d\d … 2\.\d\d +falls short, within the noise$/m);
    expect(text).toMatch(/^no filter +43 +40 +70\.0 MB +5\.0 MB +-2\.0 KB +\+1\.0 KB$/m);
    expect(text).toContain("180 ms of CPU in each VM, limit 150 ms: falls short");
    expect(text).not.toContain("busy");
  });

  it("says when a verdict could as well be the other one", () => {
    const limit = { what: "this, to that", a: "a", b: "b", factor: 2, ratio: { value: 1.9, low: 1.5, high: 2.1 }, verdict: "pass" as const };
    expect(plain(formatReport({ ...result, limits: [limit] }))).toMatch(/^this, to that +1\.90 +≤ 2\.00 +1\.50 … 2\.10 +pass, within the noise$/m);
  });

  it("warns when the baseline itself wavered", () => {
    expect(plain(formatReport({ ...result, noise: 0.25 }))).toContain("varied by 25.0 %");
  });
});
