import { join } from "node:path";
import { expect, test } from "vitest";
import { packageRoot } from "../../harness/build/index.ts";
import { findEnvoy } from "../../harness/envoy/index.ts";
import { compareTcp, type TcpReport } from "./tcp-run.ts";

const pairs = Number(process.env["SELVEDGE_DIFFERENTIAL_CONNECTIONS"] ?? 1_000);
const seed = Number(process.env["SELVEDGE_DIFFERENTIAL_SEED"] ?? 1);

test(`${pairs} connections are decided as by Envoy's own network RBAC with Istio's translation (seed ${seed})`, async () => {
  const started = Date.now();
  const say = ({ pairs: done, allowed, byRule, deniedByRule, audited, overTls, policies, differences }: TcpReport): void =>
    void process.stdout.write(
      `seed ${seed}: ${done} connections, ${policies} policies; ${allowed} allowed (${byRule} by a rule), ${deniedByRule} denied by a rule; ${audited} audited; ${overTls} over TLS; ` +
        `${differences.length} differences; ${((Date.now() - started) / 1000).toFixed(0)} s\n`,
    );
  const report = await compareTcp({ envoy: await findEnvoy(), module: join(packageRoot, "dist/authz.wasm"), seed, pairs, progress: say });
  expect(report.differences.slice(0, 3)).toEqual([]);
  expect(report.counters.slice(0, 10)).toEqual([]);
  for (const some of [report.byRule, report.deniedByRule, report.audited]) expect(some).toBeGreaterThan(report.pairs / 50);
}, 3_600_000);
