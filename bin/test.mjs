#!/usr/bin/env node
/**
 * `npm test`: builds the filters, runs every test suite that this machine can run, and says which it skipped and why.
 * Then it measures how many lines of the filters their cases run: one more check, which fails below 90 %. Arguments go to
 * vitest, and leave that check out. With SELVEDGE_ALL_SUITES=1 a suite that can't run is a failure; with SELVEDGE_RETRY=1
 * what failed gets a second try, and what needed it is named. The last line is `N passed, N failed, N skipped`; the exit
 * code isn't 0 when a test failed or none ran.
 */
import { spawn, spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { constants, tmpdir } from "node:os";
import { join } from "node:path";
import { bootstrap, root, stop } from "./bootstrap.mjs";

/** Percentage of the filters' lines that their cases must run. */
const LEAST_COVERAGE = 90;

const { findEnvoy, findEnvoyImage, main, measureCoverage, pingDocker } = await bootstrap();
if ((await main(["build", "--out", join(root, "dist")])) !== 0) stop("the filters don't compile, so no test was run");

const progress = (message) => process.stderr.write(`${message}\n`);
const reason = (error) => error.findings?.[0].message ?? error.message;
const envoy = await findEnvoy({ containers: false, onProgress: progress }).catch((error) => error);
const noEnvoy = envoy instanceof Error ? reason(envoy) : null;
const docker = await pingDocker();
const noContainers = "error" in docker ? `no Docker daemon answers (${docker.error})` : await findEnvoyImage(progress).then(() => null, reason);

const go = spawnSync("go", ["version"], { encoding: "utf8" });
const noGo = go.status === 0 ? null : "there is no go command, which fetches Istio's published pairs of policy and Envoy configuration";

/** Test projects of vitest.config.ts → why they can't run here. */
const suites = { unit: null, envoy: noEnvoy, conformance: noEnvoy, foreign: null, differential: noEnvoy, containers: noContainers, upstream: noGo };
const runnable = Object.keys(suites).filter((name) => suites[name] === null);

const { code, counts } = await runVitest(runnable, noEnvoy === null ? { ENVOY_PATH: envoy.path } : {});
for (const [name, why] of Object.entries(suites)) {
  if (why !== null) process.stdout.write(`skipped suite ${name}: ${why}\n`);
}
if (process.argv.length === 2 && code < 128) await checkCoverage();
if (counts.passed + counts.failed === 0 && code < 128) process.stderr.write("selvedge: no test was run\n");
process.stdout.write(`${counts.passed} passed, ${counts.failed} failed, ${counts.skipped} skipped\n`);
const incomplete = process.env.SELVEDGE_ALL_SUITES === "1" && runnable.length < Object.keys(suites).length;
process.exitCode = code !== 0 ? code : counts.failed > 0 || counts.passed === 0 || incomplete ? 1 : 0;

/** One more check: how much of the filters the cases reach. Left out where vitest was told to run a part. */
async function checkCoverage() {
  const { ok, text } = await measureCoverage(root, LEAST_COVERAGE).catch((error) => ({ ok: false, text: error.message }));
  process.stdout.write(`${text}\n`);
  counts[ok ? "passed" : "failed"]++;
}

/** Runs vitest as a process of its own, in its own group: a signal reaches it once, from here. */
async function runVitest(projects, env) {
  const scratch = mkdtempSync(join(tmpdir(), "selvedge-test-"));
  const report = join(scratch, "report.json");
  const args = ["run", ...projects.flatMap((name) => ["--project", name]), "--reporter=default", `--reporter=${join(root, "test/support/second-tries.ts")}`, "--reporter=json", `--outputFile.json=${report}`];
  const child = spawn(process.execPath, [join(root, "node_modules", "vitest", "vitest.mjs"), ...args, ...process.argv.slice(2)], {
    cwd: root,
    stdio: ["ignore", "inherit", "inherit"],
    env: { ...process.env, ...env },
    detached: true,
  });
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"]) process.on(signal, () => child.kill(signal));
  try {
    const code = await new Promise((resolve) => child.on("exit", (status, signal) => resolve(status ?? 128 + constants.signals[signal])));
    return { code, counts: readCounts(report) };
  } finally {
    rmSync(scratch, { recursive: true, force: true });
  }
}

function readCounts(report) {
  try {
    const { numPassedTests, numFailedTests, numPendingTests, numTodoTests } = JSON.parse(readFileSync(report, "utf8"));
    return { passed: numPassedTests, failed: numFailedTests, skipped: numPendingTests + numTodoTests };
  } catch {
    return { passed: 0, failed: 0, skipped: 0 };
  }
}
