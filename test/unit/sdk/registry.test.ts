/** Contexts by id: random lives against a Map. */
import fc from "fast-check";
import { beforeAll, describe, expect, it } from "vitest";
import { loadModule, type TestModule } from "./module.ts";

let module: TestModule;
beforeAll(async () => {
  module = await loadModule("registry");
});

/** Ids that share their low bits, so that they meet in one slot, and the neighbours that the host hands out. */
const id = fc.oneof(
  { weight: 3, arbitrary: fc.integer({ min: 1, max: 300 }) },
  { weight: 2, arbitrary: fc.tuple(fc.nat({ max: 5 }), fc.nat({ max: 20 })).map(([low, high]) => high * 64 + low + 1) },
  fc.integer({ min: 1, max: 2 ** 31 - 1 }),
);

type Step = { add: number } | { drop: number } | { collect: true };
const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 6, arbitrary: id.map((add) => ({ add })) },
  { weight: 5, arbitrary: id.map((drop) => ({ drop })) },
  { weight: 1, arbitrary: fc.constant({ collect: true } as const) },
);

const ROOT = 0x7fff_ffff;

describe("the registry", () => {
  it("finds exactly the contexts that live", () => {
    module.exports.add!(ROOT, 0);
    fc.assert(
      fc.property(fc.array(step, { maxLength: 400, size: "max" }), (steps) => {
        const model = new Set<number>();
        const touched = new Set<number>();
        for (const action of steps) {
          if ("add" in action && action.add !== ROOT) {
            module.exports.add!(action.add, ROOT);
            model.add(action.add);
            touched.add(action.add);
          } else if ("drop" in action && action.drop !== ROOT) {
            module.exports.drop!(action.drop);
            model.delete(action.drop);
            touched.add(action.drop);
          } else module.collect();
        }
        for (const known of touched) expect(module.exports.idOf!(known)).toBe(model.has(known) ? known : 0);
        for (const living of model) expect(module.exports.parentOf!(living)).toBe(ROOT);
        expect(module.exports.idOf!(ROOT)).toBe(ROOT);
        for (const living of model) module.exports.drop!(living);
        module.collect();
      }),
      { numRuns: 150 },
    );
  });

  it("keeps thousands at once, each in reach while others go", () => {
    const ids = Array.from({ length: 5_000 }, (_, index) => index * 7 + 2);
    for (const one of ids) module.exports.add!(one, ROOT);
    for (const one of ids.filter((_, index) => index % 3 === 0)) module.exports.drop!(one);
    module.collect();
    expect(ids.filter((one) => module.exports.idOf!(one) === one)).toEqual(ids.filter((_, index) => index % 3 !== 0));
  });
});
