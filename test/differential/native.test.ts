import { join } from "node:path";
import { expect, test } from "vitest";
import { packageRoot } from "../../harness/build/index.ts";
import { findEnvoy } from "../../harness/envoy/index.ts";
import { compare, comparePaths, type Report } from "./run.ts";

test("every byte in a path template's operators is taken or not as Envoy does", async () => {
  // Over HTTP/2, which carries any byte but controls.
  const bytes = Array.from({ length: 256 }, (_, byte) => String.fromCharCode(byte)).filter((c) => c > " " && c !== "\x7f");
  const templates: [string, (c: string) => string][] = [["/{*}", (c) => `/${c}`], ["/{**}", (c) => `/${c}`], ["/a/{*}/b/{**}", (c) => `/a/${c}x/b/${c}`], ["/x/{**}/y", (c) => `/x/${c}/y`], ["/{*}.css", (c) => `/${c}.css`]];
  const differing = await comparePaths(await findEnvoy(), join(packageRoot, "dist/authz.wasm"), templates.map(([template, path]) => ({ template, paths: bytes.map(path) })));
  expect(differing).toEqual([]);
}, 120_000);

const pairs = Number(process.env["SELVEDGE_DIFFERENTIAL_PAIRS"] ?? 5_000);
// Always the same questions, unless others are asked for.
const seed = Number(process.env["SELVEDGE_DIFFERENTIAL_SEED"] ?? 1);

test(`${pairs} requests are decided as by Envoy's own RBAC with Istio's translation (seed ${seed})`, async () => {
  const started = Date.now();
  const say = ({ pairs: done, allowed, byRule, deniedByRule, tokens, byToken, audited, handedOver, overHttp2, policies, refused, differences }: Report): void =>
    void process.stdout.write(
      `seed ${seed}: ${done} pairs, ${policies} policies; ${allowed} allowed (${byRule} by a rule), ${deniedByRule} denied by a rule; ${tokens} with a valid token, ${byToken} decided by a rule on tokens; ` +
        `${audited} audited, ${handedOver} for CUSTOM; ${overHttp2} over HTTP/2; ${refused} refused before; ${differences.length} differences; ${((Date.now() - started) / 1000).toFixed(0)} s\n`,
    );
  const report = await compare({ envoy: await findEnvoy(), module: join(packageRoot, "dist/authz.wasm"), seed, pairs, progress: say });
  expect(report.differences.slice(0, 3)).toEqual([]);
  expect(report.counters.slice(0, 10)).toEqual([]);
  // It means something only where rules do match, and don't.
  for (const some of [report.byRule, report.deniedByRule, report.tokens, report.byToken, report.audited, report.handedOver]) expect(some).toBeGreaterThan(report.pairs / 50);
}, 3_600_000);
