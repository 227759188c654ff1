import fc from "fast-check";
import { beforeAll, expect, test } from "vitest";
import { everything, requests } from "./arbitraries.ts";
import { Core } from "./core.ts";
import { decide, matchOf } from "./oracle.ts";

let core: Core;
beforeAll(async () => {
  core = await Core.load();
});

test("the index decides as the plain evaluator does, and names the same rule", () => {
  fc.assert(
    fc.property(everything, fc.array(requests, { minLength: 1, maxLength: 30, size: "max" }), (configuration, list) => {
      expect(core.configure(configuration)).toBe("");
      for (const request of list) {
        const { allowed, rule, dryRunAllowed, audited, handedOver } = core.decide(request);
        expect({ request, allowed, rule }).toEqual({ request, ...decide(configuration, request) });
        expect({ request, audited, handedOver }).toEqual({ request, audited: matchOf(configuration, request, "AUDIT"), handedOver: matchOf(configuration, request, "CUSTOM") });
        if (dryRunAllowed !== undefined) expect({ request, dryRunAllowed }).toEqual({ request, dryRunAllowed: decide(configuration, request, true).allowed });
      }
    }),
    { numRuns: Number(process.env["AUTHZ_FUZZ_RUNS"] ?? 500) },
  );
});
