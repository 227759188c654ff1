/** Asks native RBAC, authz.wasm and the plain evaluator the same questions, in one Envoy, and keeps every answer that differs. */
import fc from "fast-check";
import { isDeepStrictEqual } from "node:util";
import { Certificates } from "../../harness/cases/engines/envoy/certificates.ts";
import type { EnvoyBinary } from "../../harness/envoy/index.ts";
import type { Json } from "../../harness/host/proto.ts";
import { onRequests } from "../unit/authz/arbitraries.ts";
import { JWT_FILTER, type Request } from "../unit/authz/core.ts";
import { Nearby, Random } from "../unit/authz/near.ts";
import { decide, matchOf, type Configuration } from "../unit/authz/oracle.ts";
import { exchange, type Answer, type RequestPlan } from "./client.ts";
import { WORDS, connectionOf, differingCounters, distinct, inParallel, planOf, withEnvoy, type ConnectionPart } from "./envoy.ts";
import { PROVIDER, countsOf, readNative, verdictOf } from "./native.ts";
import { OTHER_FILTER, metadataHeaders, metadataKeys } from "./metadata.ts";
import { Tokens } from "./tokens.ts";
import { ROUTE_HEADER, world } from "./world.ts";

/** Configurations of one Envoy process. */
const PER_ENVOY = 60;
const REQUESTS_PER_CONNECTION = 25;
const AT_ONCE = 8;

export interface Difference {
  configuration: Configuration;
  request: Request;
  http2: boolean;
  nameless: boolean;
  native: unknown;
  wasm: unknown;
  oracle: unknown;
}

export interface Report {
  /** Requests that all three decided. */
  pairs: number;
  /** Of them, those that native RBAC allowed; and by some rule; and denied by some rule. */
  allowed: number;
  byRule: number;
  deniedByRule: number;
  /** With a verified token; and decided by a rule that asks for something of tokens. */
  tokens: number;
  byToken: number;
  audited: number;
  handedOver: number;
  overHttp2: number;
  policies: number;
  /** Requests that didn't get as far as the filters: the codec, the parser or jwt_authn refused them. */
  refused: number;
  differences: Difference[];
  /** Counters of rules (those on trial among them) that don't say what native RBAC says. */
  counters: string[];
}

export interface Options {
  envoy: EnvoyBinary;
  module: string;
  seed: number;
  pairs: number;
  progress?: (report: Report) => void;
}

export async function compare(options: Options): Promise<Report> {
  const report: Report = { pairs: 0, allowed: 0, byRule: 0, deniedByRule: 0, tokens: 0, byToken: 0, audited: 0, handedOver: 0, overHttp2: 0, policies: 0, refused: 0, differences: [], counters: [] };
  const certificates = await Certificates.create();
  for (let round = 0; report.pairs < options.pairs; round++) {
    const left = options.pairs - report.pairs;
    // A small run has as many configurations as fit, rather than few with many requests.
    const perConfiguration = Math.min(250, Math.max(50, Math.ceil(left / PER_ENVOY)));
    const count = Math.max(2, Math.min(PER_ENVOY, Math.ceil((left * 1.35) / perConfiguration)));
    await compareRound({ ...options, seed: options.seed + round, count, perConfiguration }, certificates, report);
    options.progress?.(report);
    if (report.differences.length > 20) break;
  }
  return report;
}

/** One policy that allows one path template each, and paths for it: those that native RBAC and authz don't decide alike. */
export async function comparePaths(binary: EnvoyBinary, module: string, tables: { template: string; paths: string[] }[]): Promise<string[]> {
  const rule = (path: string): Configuration => ({ namespace: "n", policies: [{ metadata: { name: "p", namespace: "n" }, spec: { rules: [{ to: [{ operation: { paths: [path] } }] }] } }] });
  const tokens = new Tokens();
  return withEnvoy(binary, module, (files) => world(tables.map(({ template }) => rule(template)), files, binary.version, tokens), await Certificates.create(), async (_, ports) => {
    const all = await Promise.all(
      tables.map(async ({ template, paths }, index) => {
        const requests = paths.map((path): RequestPlan => ({ method: "GET", path, host: "h", headers: [] }));
        const { answers } = await exchange({ port: ports.get(`${index}/4`)!, direct: "127.0.0.1", http2: true }, requests);
        return paths.filter((_path, at) => (readNative(answers[at]?.headers["native"] ?? "").allow?.allowed ?? "no answer") !== (answers[at]?.status === 200)).map((path) => `${template} ${JSON.stringify(path)}`);
      }),
    );
    return all.flat();
  });
}

interface Round extends Options {
  count: number;
  perConfiguration: number;
}

async function compareRound({ envoy: binary, module, seed, count, perConfiguration }: Round, certificates: Certificates, report: Report): Promise<void> {
  const random = new Random(seed);
  const tokens = new Tokens();
  const configurations = fc.sample(onRequests, { seed, numRuns: count * 2 + 10 }).filter(({ policies }) => policies.length > 0).slice(0, count).map(distinct);
  report.policies += configurations.reduce((sum, { policies }) => sum + policies.length, 0);
  const configure = (files: Parameters<typeof world>[1]): ReturnType<typeof world> => world(configurations, files, binary.version, tokens);
  await withEnvoy(binary, module, configure, certificates, async (envoy, ports) => {
    const round: State = { ports, certificates, report, counts: new Map(), unsure: new Set() };
    const batches = configurations.flatMap((configuration, index) => {
      const nearby = new Nearby(configuration, random, WORDS);
      return Array.from({ length: Math.ceil(perConfiguration / REQUESTS_PER_CONNECTION) }, (): Batch => ({
        configuration, index, connection: connectionOf(nearby, random), requests: Array.from({ length: REQUESTS_PER_CONNECTION }, () => requestOf(nearby, random, tokens)),
      }));
    });
    await inParallel(batches, AT_ONCE, (batch) => compareBatch(batch, round));
    report.counters.push(...(await differingCounters(envoy, round.counts, round.unsure)));
  });
}

interface RequestPart extends ReturnType<Nearby["request"]> {
  forwarded?: string;
  tokens: [string, string][];
  payload: Record<string, Json> | undefined;
  metadata: Record<string, Json>;
}

function requestOf(nearby: Nearby, random: Random, tokens: Tokens): RequestPart {
  const { headers, payload } = random.once(4) ? { headers: [], payload: undefined } : tokens.headers(nearby, random);
  return {
    ...nearby.request(), tokens: headers, payload, metadata: nearby.metadata()[OTHER_FILTER] ?? {},
    ...(random.once(3) && { forwarded: random.pick(["10.0.0.1", "10.1.2.3", "192.168.1.1", "2001:db8::1", "fe80::1:2:3", "::", "255.255.255.255", "0.0.0.0", "1.1.1.1, 10.0.0.2", "10.0.0.1, nonsense", "::1"]) }),
  };
}

interface State {
  ports: Map<string, number>;
  certificates: Certificates;
  report: Report;
  counts: Map<string, number>;
  unsure: Set<number>;
}

interface Batch {
  configuration: Configuration;
  index: number;
  connection: ConnectionPart;
  requests: RequestPart[];
}

async function compareBatch({ configuration, index, connection, requests }: Batch, round: State): Promise<void> {
  const { plan, seen } = await planOf(connection, round.ports, index, round.certificates);
  const keys = metadataKeys(configuration);
  const own = requests.map(({ headers, route, forwarded }): [string, string][] => [...headers!, ...(forwarded === undefined ? [] : [["x-forwarded-for", forwarded] as [string, string]]), ...(route === "" ? [] : [[ROUTE_HEADER, route!] as [string, string]])]);
  const plans = requests.map(({ method, path, host, tokens, metadata }, position): RequestPlan => ({
    method: method!.replace(/[^A-Za-z]/g, "") || "GET", path: path === "" ? "/" : path!, host: host!.replace(/[^\w.:*-]/g, "") || "x",
    headers: [...own[position]!, ...tokens, ...metadataHeaders(keys, metadata)],
  }));
  const { answers, unsure } = await exchange(plan, plans);
  if (unsure) round.unsure.add(index);
  for (const [position, answer] of answers.entries()) {
    const { method, path, host: authority } = plans[position]!;
    const { forwarded, route, payload, metadata } = requests[position]!;
    const last = forwarded?.split(", ").at(-1);
    const request: Request = {
      ...seen, method, path, host: authority, route: route!,
      headers: own[position]!.filter(([name]) => name !== ROUTE_HEADER).map(([name, value]) => [name, value.trim()]),
      ...(last !== undefined && last !== "nonsense" && { remote: last.includes(":") ? `[${last}]:0` : `${last}:0` }),
      ...(payload && { claims: payload }),
      metadata: { [OTHER_FILTER]: metadata, ...(payload && { [JWT_FILTER]: { payload } }) },
    };
    judge({ configuration, request, http2: connection.http2, nameless: connection.nameless }, answer, round);
  }
}

function judge(pair: Pick<Difference, "configuration" | "request" | "http2" | "nameless">, answer: Answer | undefined, { report, counts }: State): void {
  const header = answer?.headers["native"];
  // The codec or jwt_authn answered.
  if (header === undefined || /^[|;-]*$/.test(header) && answer!.status !== 200 && answer!.status !== 403) {
    report.refused++;
    return;
  }
  const result = readNative(header);
  const native = verdictOf(result);
  const { headers, status } = answer!;
  const details = /^selvedge_authz_denied\[(.*)\]$/.exec(headers["details"] ?? "")?.[1];
  const wasm = { allowed: status === 200, ...(status !== 200 && { rule: details ?? headers["details"] }), handedOver: headers["mark"] === PROVIDER };
  // The plain evaluator knows no other names than URIs.
  const oracle = pair.nameless ? native : {
    ...decide(pair.configuration, pair.request), audited: matchOf(pair.configuration, pair.request, "AUDIT"), handedOver: matchOf(pair.configuration, pair.request, "CUSTOM") !== undefined,
  };
  report.pairs++;
  if (pair.http2) report.overHttp2++;
  if (native.allowed) report.allowed++;
  if (native.rule !== "none") report[native.allowed ? "byRule" : "deniedByRule"]++;
  if (pair.request.claims) report.tokens++;
  if (asksForToken(pair.configuration, native.rule)) report.byToken++;
  if (native.audited !== undefined) report.audited++;
  if (native.handedOver) report.handedOver++;
  for (const name of countsOf(result)) counts.set(name, (counts.get(name) ?? 0) + 1);
  const same = native.allowed === wasm.allowed && (wasm.allowed ? native.handedOver === wasm.handedOver : native.rule === wasm.rule) && isDeepStrictEqual(native, oracle);
  // What Envoy took from the token; else the three may agree on nothing.
  const payload = headers["payload"] ?? "-";
  const verified = payload === "-" || payload === "" ? undefined : (JSON.parse(Buffer.from(payload, "latin1").toString()) as Json);
  const understood = isDeepStrictEqual(verified, pair.request.claims);
  if (!same || !understood) report.differences.push({ ...pair, native: { ...native, ...(!understood && { payload: verified ?? null }) }, wasm, oracle });
}

function asksForToken({ policies, namespace = "default" }: Configuration, id: string): boolean {
  const [, name, index] = /^(.*)#(\d+)$/.exec(id) ?? [];
  const policy = policies.find(({ metadata }) => `${metadata.namespace ?? namespace}/${metadata.name}` === name);
  return policy !== undefined && /requestPrincipals|RequestPrincipals|"request\.auth\./.test(JSON.stringify(policy.spec.rules?.[Number(index)]));
}
