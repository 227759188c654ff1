/** Whatever the documents hold, compose answers with findings or with a configuration: it never throws. */
import fc from "fast-check";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { parseAllDocuments, stringify } from "yaml";
import { composeEnvoy } from "../../../harness/compose/index.ts";
import { readDocuments, type Policies } from "../../../harness/compose/load.ts";
import { Report } from "../../../harness/compose/report.ts";
import { OPTIONS } from "./support.ts";

const EDGE = join(import.meta.dirname, "../../../envoy-configs/edge");
const documents = readdirSync(EDGE)
  .filter((name) => name.endsWith(".yaml") && name !== "envoy.yaml" && name !== "scenario.yaml")
  .flatMap((name) => parseAllDocuments(readFileSync(join(EDGE, name), "utf8")).map((each) => each.toJS() as unknown));

/** With `partial`, what could be read is resolved all the same: references lead nowhere then. */
function run(text: string, partial = false) {
  const policies: Policies = { dir: "p", files: [], resources: [], external: [], findings: [] };
  const report = new Report();
  readDocuments("p/x.yaml", text, {}, policies, report);
  policies.findings = partial ? [] : report.findings;
  return composeEnvoy(policies, { ...OPTIONS, readFiles: false });
}

/** Every place of a value, as a list of steps. */
function places(value: unknown, path: (string | number)[] = []): (string | number)[][] {
  if (value === null || typeof value !== "object") return [path];
  return [path, ...Object.entries(value).flatMap(([key, each]) => places(each, [...path, Array.isArray(value) ? Number(key) : key]))];
}

type Box = Record<string | number, unknown>;

function mutate(value: unknown, path: (string | number)[], change: (at: Box, key: string | number) => void): void {
  if (path.length === 0) return;
  let at = value as Box;
  for (const step of path.slice(0, -1)) {
    if (at === null || typeof at !== "object") return; // an earlier change took the place away
    at = at[step] as Box;
  }
  if (at !== null && typeof at === "object") change(at, path.at(-1)!);
}

const junk = fc.oneof(
  fc.constantFrom<unknown>(null, "", "*", "a/b", -1, 1e9, true, [], {}, [[]], [null], { x: null }, "\u0000", "${x}", "%", "/", "__proto__"),
  fc.string(),
  fc.jsonValue({ maxDepth: 2 }),
);

describe("mutated documents", () => {
  it("are composed or refused with a position, and never throw", () => {
    fc.assert(
      fc.property(
        fc.subarray(documents, { minLength: documents.length - 4 }),
        fc.array(fc.record({ document: fc.nat(), place: fc.nat(), kind: fc.constantFrom("replace", "drop", "rename", "double"), junk }), { maxLength: 4 }),
        (some, changes) => {
          const copies = structuredClone(some);
          for (const { document, place, kind, junk: value } of changes) {
            const target = copies[document % copies.length];
            const all = places(target);
            mutate(target, all[place % all.length]!, (at, key) => {
              if (kind === "replace") at[key] = value;
              else if (kind === "drop" && Array.isArray(at)) at.splice(Number(key), 1);
              else if (kind === "drop") delete at[key];
              else if (kind === "rename") {
                at[`${key}x`] = at[key];
                delete at[key];
              } else if (Array.isArray(at)) at.push(structuredClone(at[Number(key)]));
            });
          }
          const text = copies.map((each) => stringify(each)).join("---\n");
          run(text, true);
          const result = run(text);
          const failed = result.findings.some((each) => each.severity === "error");
          expect(result.config === undefined).toBe(failed);
          expect(result.yaml === undefined).toBe(failed);
          for (const finding of result.findings) expect(finding.where?.file).toBeTruthy();
        },
      ),
      { numRuns: 150 },
    );
  });

  it("of arbitrary text never throw", () => {
    fc.assert(fc.property(fc.oneof(fc.string(), fc.string({ unit: fc.constantFrom(":", "-", " ", "\n", "&", "*", "a", "{", "}", "[", "]", "'", "|", "!", "?", "%") })), (text) => void run(text)), { numRuns: 500 });
  });
});
