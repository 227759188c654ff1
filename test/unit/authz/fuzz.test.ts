import { expect, test } from "vitest";
import { Core } from "./core.ts";
import { fuzz } from "./fuzz.ts";

const total = Number(process.env["SELVEDGE_FUZZ"] ?? 5_000);
const seed = Number(process.env["SELVEDGE_FUZZ_SEED"] ?? Date.now() % 1_000_000);

test(`${total} configurations and requests, damaged ones among them (seed ${seed})`, async () => {
  const started = Date.now();
  const report = fuzz(await Core.load(), total, seed);
  const seconds = (Date.now() - started) / 1000;
  process.stdout.write(
    `seed ${seed}: ${report.configurations} configurations (${report.refused} refused), ${report.requests} requests (${report.allowed} allowed), ${report.findings.length} findings; ${seconds.toFixed(0)} s\n`,
  );
  expect(report.findings.slice(0, 3)).toEqual([]);
  expect(report.refused).toBeGreaterThan(report.configurations / 20);
  expect(report.allowed).toBeGreaterThan(report.requests / 20);
}, 3_600_000);
