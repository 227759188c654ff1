import { readFile } from "node:fs/promises";
import { Ajv2020 } from "ajv/dist/2020.js";
import { beforeAll, describe, expect, it } from "vitest";
import { compileModule, releaseOptions } from "../../../harness/build/index.ts";
import { loadFilter } from "../../../harness/host/index.ts";

let wasm: Uint8Array;
let accepts: (config: unknown) => boolean;
beforeAll(async () => {
  wasm = await compileModule({ entry: "filters/telemetry/assembly/index.ts", options: { ...releaseOptions, optimizeLevel: 1, exportRuntime: false } });
  const validate = new Ajv2020().compile(JSON.parse(await readFile("filters/telemetry/config.schema.json", "utf8")));
  accepts = (config) => validate(config) as boolean;
});

async function refusal(config: unknown): Promise<string | undefined> {
  const filter = await loadFilter(wasm, { name: "telemetry", rootId: "telemetry", config: typeof config === "string" ? config : JSON.stringify(config) });
  const lines = filter.logs.filter(({ from, level }) => from !== "host" && level === "critical").map(({ message }) => message);
  if (filter.status.state === "running") {
    expect(lines).toEqual([]);
    return undefined;
  }
  expect(lines).toHaveLength(1);
  return lines[0];
}

describe("a configuration", () => {
  it.each([
    [{}],
    [{ routes: {} }],
    [{ routes: { "": {} } }],
    [{ routes: { r: { destination: { workload: "w", namespace: "n" }, arm: "a", label: "l" }, s: { destination: {} } }, maxSeries: 1, identity: { filterState: "x" } }],
    [{ maxSeries: 100_000 }],
  ])("like %j is accepted", async (config) => {
    expect(await refusal(config)).toBeUndefined();
    expect(accepts(config)).toBe(true);
  });

  it.each<[string, unknown, string]>([
    ["no JSON", "hello", "$: found 'hello', expected an object"],
    ["an array", [], "$: found an array, expected an object"],
    ["text behind it", "{} {}", "$: found an object, expected the end of the document"],
    ["an unknown field", { metrics: 1 }, "$.metrics: found an unknown field, expected one of routes, maxSeries, identity"],
    ["a list of routes", { routes: [] }, "$.routes: found an array, expected an object with a member for each route name"],
    ["a route twice", '{"routes":{"a":{},"a":{}}}', "$.routes.a: found this route twice, expected each route once"],
    ["a route without an object", { routes: { a: "b" } }, "$.routes.a: found '\"b\"', expected an object"],
    ["an unknown field of a route", { routes: { a: { cluster: "b" } } }, "$.routes.a.cluster: found an unknown field, expected one of destination, arm, label"],
    ["an unknown field of a destination", { routes: { a: { destination: { name: "b" } } } }, "$.routes.a.destination.name: found an unknown field, expected one of workload, namespace"],
    ["a number for a workload", { routes: { a: { destination: { workload: 1 } } } }, "$.routes.a.destination.workload: found '1', expected a string"],
    ["no series", { maxSeries: 0 }, "$.maxSeries: found '0', expected an integer from 1 to 100000"],
    ["too many series", { maxSeries: 100_001 }, "$.maxSeries: found '100001', expected an integer from 1 to 100000"],
  ])("with %s is refused", async (_, config, message) => {
    expect(await refusal(config)).toBe(`selvedge: telemetry: invalid configuration: ${message}`);
    if (typeof config !== "string") expect(accepts(config)).toBe(false);
  });
});
