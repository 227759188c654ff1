import fc from "fast-check";
import { beforeAll, expect, test } from "vitest";
import { configurations, requests } from "./arbitraries.ts";
import { Core } from "./core.ts";

let core: Core;
beforeAll(async () => {
  core = await Core.load();
});

/** Cuts, doubles or overwrites pieces of a text. */
const edits = fc.array(fc.tuple(fc.nat(2), fc.nat(), fc.nat(30), fc.constantFrom("", "{", "}", "[", "]", ",", ":", "\"", "null", "0", "\\u0000", "*", "é", "{*}", "x")), { minLength: 1, maxLength: 4 });

test("a damaged configuration is taken or refused with a message, and never traps", () => {
  let refused = 0;
  fc.assert(
    fc.property(configurations, edits, requests, (configuration, list, request) => {
      let text = JSON.stringify(configuration);
      for (const [kind, where, length, put] of list) {
        const from = where % (text.length + 1);
        const piece = text.slice(from, from + length);
        text = text.slice(0, from) + (kind === 0 ? put : kind === 1 ? piece + piece : put) + text.slice(kind === 2 ? from : from + length);
      }
      const error = core.configure(text);
      if (error !== "") {
        refused++;
        expect(error).toMatch(/^\$.*: found .+, expected .+/s);
      } else expect(() => JSON.parse(text) as unknown).not.toThrow();
      core.decide(request);
    }),
    { numRuns: 3_000 },
  );
  expect(refused).toBeGreaterThan(500);
});

test("random bytes are refused", () => {
  fc.assert(fc.property(fc.uint8Array({ maxLength: 60 }), (bytes) => {
    expect(core.configureText(bytes)).toMatch(/^\$.*: found .*, expected .+/s);
  }), { numRuns: 3_000 });
});

test("configuring again and again leaves nothing behind", () => {
  const rules = (i: number) => [{ from: [{ source: { principals: [`a${i}`] } }] }];
  const configuration = { policies: Array.from({ length: 500 }, (_, i) => ({ metadata: { name: `p${i}` }, spec: { rules: rules(i) } })) };
  const again = (times: number) => {
    for (let i = 0; i < times; i++) expect(core.configure(i % 2 ? configuration : { ...configuration, x: 1 }) === "").toBe(i % 2 === 1);
    return core.memoryBytes;
  };
  const before = again(300);
  // What is free lies differently each time: memory may grow by a step or two, a quarter each, but not by what configurations take.
  expect(again(1_000)).toBeLessThan(before * 1.6);
});
