import { readFile } from "node:fs/promises";
import { Ajv2020 } from "ajv/dist/2020.js";
import { beforeAll, describe, expect, it } from "vitest";
import { compileModule, releaseOptions } from "../../../harness/build/index.ts";
import { loadFilter } from "../../../harness/host/index.ts";

let wasm: Uint8Array;
let accepts: (config: unknown) => boolean;
beforeAll(async () => {
  wasm = await compileModule({ entry: "filters/canary/assembly/index.ts", options: { ...releaseOptions, optimizeLevel: 1, exportRuntime: false } });
  const validate = new Ajv2020().compile(JSON.parse(await readFile("filters/canary/config.schema.json", "utf8")));
  accepts = (config) => validate(config) as boolean;
});

const arms = [{ name: "v1", weight: 99 }, { name: "v2", weight: 1 }];
const one = (more: object): object => ({ rollouts: [{ route: "r", arms, ...more }] });
const keys = (...list: unknown[]): object => one({ stickiness: { keys: list } });

async function refusal(config: unknown): Promise<string | undefined> {
  const filter = await loadFilter(wasm, { name: "canary", rootId: "canary", config: typeof config === "string" ? config : JSON.stringify(config) });
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
    [{ rollouts: [] }],
    [one({})],
    [one({ id: "x", stickiness: { salt: "s", keys: [{ header: "X-User" }, { cookie: "session" }, { principal: true }, { sourceIP: true }] } })],
    [{ rollouts: [{ route: "r", arms: [{ name: "only" }] }] }],
    [{ rollouts: [{ route: "r", arms: [{ name: "a", weight: 0 }, { name: "b", weight: 1_000_000 }] }] }],
    [{ rollouts: [{ route: "r", arms: [{ name: "a", weight: 1 }] }], identity: { filterState: "selvedge.peer" } }],
    [{ rollouts: [{ route: "r", arms }, { route: "s", arms }] }],
  ])("like %j is accepted", async (config) => {
    expect(await refusal(config)).toBeUndefined();
    expect(accepts(config)).toBe(true);
  });

  // What only the filter can see, because a schema can't say it.
  const beyondSchema = new Set(["second rollout", "second arm"]);

  it.each<[string, unknown, string]>([
    ["nothing", "", "$: found the end of the document, expected an object"],
    ["no JSON", "hello", "$: found 'hello', expected an object"],
    ["an array", [], "$: found an array, expected an object"],
    ["no rollouts", {}, "$: found no 'rollouts', expected an array of rollouts"],
    ["an unknown field", { rollouts: [], rollout: 1 }, "$.rollout: found an unknown field, expected one of rollouts, identity"],
    ["text behind it", '{"rollouts":[]} x', "$: found 'x', expected the end of the document"],
    ["a field twice", '{"rollouts":[],"rollouts":[]}', "$.rollouts: found this field twice, expected each field once"],
    ["rollouts by name", { rollouts: {} }, "$.rollouts: found an object, expected an array"],
    ["no route", { rollouts: [{ arms }] }, "$.rollouts[0]: found no 'route', expected the name of the Envoy route to split"],
    ["an empty route", { rollouts: [{ route: "", arms }] }, "$.rollouts[0].route: found an empty string, expected the name of an Envoy route"],
    ["no arms", { rollouts: [{ route: "r" }] }, "$.rollouts[0]: found no 'arms', expected at least one arm, the stable one first"],
    ["second rollout", { rollouts: [{ route: "r", arms }, { route: "r", arms }] }, "$.rollouts[1].route: found a second rollout of this route, expected one rollout for each route"],
    ["second arm", one({ arms: [{ name: "a" }, { name: "a" }] }), "$.rollouts[0].arms[1].name: found a second arm of this name, expected names that differ"],
    ["a nameless arm", one({ arms: [{ weight: 1 }] }), "$.rollouts[0].arms[0]: found no 'name', expected the name of the arm"],
    ["a weight above the limit", one({ arms: [{ name: "a", weight: 1_000_001 }] }), "$.rollouts[0].arms[0].weight: found '1000001', expected an integer from 0 to 1000000"],
    ["a negative weight", one({ arms: [{ name: "a", weight: -1 }] }), "$.rollouts[0].arms[0].weight: found '-1', expected an integer from 0 to 1000000"],
    ["half a weight", one({ arms: [{ name: "a", weight: 0.5 }] }), "$.rollouts[0].arms[0].weight: found '0.5', expected an integer from 0 to 1000000"],
    ["a weight as text", one({ arms: [{ name: "a", weight: "1" }] }), "$.rollouts[0].arms[0].weight: found '\"1\"', expected an integer"],
    ["65 arms", one({ arms: Array.from({ length: 65 }, (_, i) => ({ name: `a${i}` })) }), "$.rollouts[0].arms[64]: found more than 64 arms, expected at most 64"],
    ["no keys", one({ stickiness: {} }), "$.rollouts[0].stickiness: found no 'keys', expected at least one key to stick to"],
    ["an empty list of keys", keys(), "$.rollouts[0].stickiness: found no 'keys', expected at least one key to stick to"],
    ["an empty salt", one({ stickiness: { salt: "", keys: [{ cookie: "a" }] } }), "$.rollouts[0].stickiness.salt: found an empty string, expected a salt that isn't empty"],
    ["an empty key", keys({}), "$.rollouts[0].stickiness.keys[0]: found no source, expected exactly one of header, cookie, principal, sourceIP"],
    ["two sources in a key", keys({ cookie: "a", header: "b" }), "$.rollouts[0].stickiness.keys[0]: found several sources in one key, expected exactly one of header, cookie, principal, sourceIP"],
    ["an unknown source", keys({ query: "a" }), "$.rollouts[0].stickiness.keys[0].query: found an unknown field, expected one of header, cookie, principal, sourceIP"],
    ["a pseudo header", keys({ header: ":path" }), "$.rollouts[0].stickiness.keys[0].header: found a character that a name can't have, expected the name of a header"],
    ["a cookie's name with a space", keys({ cookie: "a b" }), "$.rollouts[0].stickiness.keys[0].cookie: found a character that a name can't have, expected the name of a cookie"],
    ["principal false", keys({ principal: false }), "$.rollouts[0].stickiness.keys[0].principal: found false, expected true, or no such key"],
    ["nine keys", keys(...Array.from({ length: 9 }, () => ({ sourceIP: true }))), "$.rollouts[0].stickiness.keys[8]: found more than 8 keys, expected at most 8"],
    ["an unknown identity", { rollouts: [], identity: { header: "x" } }, "$.identity.header: found an unknown field, expected one of filterState, xfcc"],
  ])("with %s is refused", async (what, config, message) => {
    expect(await refusal(config)).toBe(`selvedge: canary: invalid configuration: ${message}`);
    if (typeof config !== "string" && !beyondSchema.has(what)) expect(accepts(config)).toBe(false);
  });
});
