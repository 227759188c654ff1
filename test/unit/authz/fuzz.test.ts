import { expect, test } from "vitest";
import { Core } from "./core.ts";
import { fuzz } from "./fuzz.ts";

const total = Number(process.env["SELVEDGE_FUZZ"] ?? 5_000);
// Always the same, unless others are asked for.
const seed = Number(process.env["SELVEDGE_FUZZ_SEED"] ?? 1);

test(`${total} configurations and requests, damaged ones among them (seed ${seed})`, async () => {
  const started = Date.now();
  const report = fuzz(await Core.load(), total, seed);
  const seconds = (Date.now() - started) / 1000;
  process.stdout.write(
    `seed ${seed}: ${report.configurations} configurations (${report.refused} refused), ${report.requests} requests (${report.allowed} allowed, and ${report.strictlyAllowed} with strictPaths; ${report.tokens} with a token, ${report.connections} connections, ${report.audited} audited, ${report.handedOver} for CUSTOM), ${report.findings.length} findings; ${seconds.toFixed(0)} s\n`,
  );
  expect(report.findings.slice(0, 3)).toEqual([]);
  expect(report.refused).toBeGreaterThan(report.configurations / 20);
  for (const some of [report.allowed, report.strictlyAllowed, report.tokens, report.connections, report.audited, report.handedOver]) expect(some).toBeGreaterThan(report.requests / 50);
}, 3_600_000);
