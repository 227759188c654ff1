import { isIP } from "node:net";
import { checkAgainst } from "../compose/external.ts";
import type { ExternalCheck } from "../compose/load.ts";
import { Report } from "../compose/report.ts";
import { PolicyTestResource, type PolicyTestSpec } from "./schema.ts";

const schema = checkAgainst(PolicyTestResource, "PolicyTest");

/** Holds a PolicyTest document against its schema, and what it says against sense. */
export const checkPolicyTest: ExternalCheck = (document) => {
  const findings = schema(document);
  if (findings.length > 0) return findings;
  const report = new Report();
  const { spec } = document.value as { spec: PolicyTestSpec };
  const entries = [{ request: spec.defaults ?? {}, path: ["spec", "defaults"] }, ...spec.cases.map((request, index) => ({ request, path: ["spec", "cases", index] }))];
  for (const { request, path } of entries) {
    for (const field of ["ip", "remoteIp", "localIp"] as const) {
      const value = request[field];
      if (value !== undefined && isIP(value) === 0) report.error("wrong-value", document.source, [...path, field], `\`${field}\` is no IP address`, { found: value });
    }
  }
  return report.findings;
};
