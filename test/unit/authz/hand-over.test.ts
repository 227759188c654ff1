/** What the filter leaves for the ext_authz filters behind it. */
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { buildFilter } from "../../../harness/build/index.ts";
import { loadFilter } from "../../../harness/host/index.ts";

const dir = mkdtempSync(join(tmpdir(), "selvedge-authz-custom-"));
let module: Uint8Array;
beforeAll(async () => {
  module = readFileSync((await buildFilter({ entry: "filters/authz/assembly/index.ts", outDir: dir })).path);
}, 120_000);
afterAll(() => rmSync(dir, { recursive: true }));

const custom = (name: string, provider: string, app: string, paths: string[]) => ({
  metadata: { name }, spec: { action: "CUSTOM", provider: { name: provider }, selector: { matchLabels: { app } }, rules: [{ to: [{ operation: { paths } }] }] },
});
const CONFIG = {
  namespace: "prod",
  custom: { filterState: "mark", providers: ["a", "b"] },
  workloads: [{ namespace: "prod", labels: { app: "shop" }, routes: ["shop"] }, { namespace: "prod", labels: { app: "bank" }, routes: ["bank"] }],
  policies: [custom("p", "a", "shop", ["/ask*"]), custom("q", "b", "bank", ["/ask*"]), { metadata: { name: "d" }, spec: { action: "DENY", rules: [{ to: [{ operation: { paths: ["/ask/never"] } }] }] } }],
};

async function ask(path: string, route: string, more: object = {}) {
  const filter = (await loadFilter(module, { name: "t", config: JSON.stringify({ ...CONFIG, ...more }) })).requireRunning();
  return filter.http({ path }, { stream: { routes: route } });
}
const mark = async (...args: Parameters<typeof ask>): Promise<string | undefined> => (await ask(...args)).filterState["wasm.mark"];

describe("the mark", () => {
  test("is the provider of the workload's CUSTOM policy that matches, or nobody's", async () => {
    expect(await mark("/ask/1", "shop")).toBe("a");
    expect(await mark("/ask/1", "bank")).toBe("b");
    expect(await mark("/other", "shop")).toBe("-");
    expect(await mark("/ask", "unknown")).toBe("-");
  });

  test("isn't set for what is denied", async () => {
    const { status, filterState } = await ask("/ask/never", "shop");
    expect([status, filterState["wasm.mark"]]).toEqual([403, undefined]);
  });

  test("with strict paths, follows any reading", async () => {
    expect(await mark("/%61sk", "shop")).toBe("-");
    expect(await mark("/%61sk", "shop", { strictPaths: true })).toBe("a");
  });
});
