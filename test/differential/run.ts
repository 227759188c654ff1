/** Asks native RBAC, authz.wasm and the plain evaluator the same questions, in one Envoy, and keeps every answer that differs. */
import fc from "fast-check";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { Certificates } from "../../harness/cases/engines/envoy/certificates.ts";
import { startEnvoy, type EnvoyBinary, type RunningEnvoy } from "../../harness/envoy/index.ts";
import { temporaryDirectory } from "../../harness/tempdir.ts";
import { configurations as arbitraryConfigurations } from "../unit/authz/arbitraries.ts";
import type { Request } from "../unit/authz/core.ts";
import { Nearby, Random, type Vocabulary } from "../unit/authz/near.ts";
import { decide, type Configuration } from "../unit/authz/oracle.ts";
import { exchange, type Answer, type ConnectionPlan, type RequestPlan } from "./client.ts";
import { ROUTE_HEADER, readNative, world } from "./world.ts";

/** Configurations of one Envoy process. */
const PER_ENVOY = 60;
const REQUESTS_PER_CONNECTION = 25;
const AT_ONCE = 8;

const WORDS: Vocabulary = {
  ids: ["cluster.local", "td1", "td2", "old-td1", "ns"].flatMap((td) => ["prod", "dev", "ns", "istio-system"].flatMap((ns) => ["web", "api", "sa"].map((sa) => `${td}/ns/${ns}/sa/${sa}`))),
  snis: ["web.prod", "api.dev", "x.web.prod", "web.prod.x", "WEB.prod"],
  direct: ["127.0.0.1", "127.0.0.2", "127.1.2.3", "::1"],
  addresses: ["10.0.0.1", "10.0.0.2", "10.1.2.3", "192.168.1.1", "2001:db8::1", "2001:db8:0:1::2", "fe80::1:2:3", "::1"],
  ports: [80, 443, 8080, 0, 81],
};

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
  overHttp2: number;
  policies: number;
  /** Requests that didn't get as far as the filters: the codec or the parser refused them. */
  refused: number;
  differences: Difference[];
  /** Counters of rules (those on trial among them) that don't say what native RBAC says. */
  counters: string[];
}

export async function compare(options: { envoy: EnvoyBinary; module: string; seed: number; pairs: number; progress?: (report: Report) => void }): Promise<Report> {
  const report: Report = { pairs: 0, allowed: 0, byRule: 0, deniedByRule: 0, overHttp2: 0, policies: 0, refused: 0, differences: [], counters: [] };
  const certificates = await Certificates.create();
  for (let round = 0; report.pairs < options.pairs; round++) {
    const left = options.pairs - report.pairs;
    // A small run has as many configurations as fit, rather than few with many requests.
    const perConfiguration = Math.min(250, Math.max(50, Math.ceil(left / PER_ENVOY)));
    const count = Math.max(2, Math.min(PER_ENVOY, Math.ceil((left * 1.05) / perConfiguration)));
    await compareRound({ ...options, seed: options.seed + round, count, perConfiguration }, certificates, report);
    options.progress?.(report);
    if (report.differences.length > 20) break;
  }
  return report;
}

/** One policy that allows one path template each, and paths for it: those that native RBAC and authz don't decide alike. */
export async function comparePaths(binary: EnvoyBinary, module: string, tables: { template: string; paths: string[] }[]): Promise<string[]> {
  const rule = (path: string): Configuration => ({ namespace: "n", policies: [{ metadata: { name: "p", namespace: "n" }, spec: { rules: [{ to: [{ operation: { paths: [path] } }] }] } }] });
  return withEnvoy(binary, module, tables.map(({ template }) => rule(template)), await Certificates.create(), async (_, ports) => {
    const all = await Promise.all(
      tables.map(async ({ template, paths }, index) => {
        const requests = paths.map((path): RequestPlan => ({ method: "GET", path, host: "h", headers: [] }));
        const answers = await exchange({ port: ports.get(`${index}/4`)!, direct: "127.0.0.1", http2: true }, requests);
        return paths.filter((_path, at) => (readNative(answers[at]?.headers["native"] ?? "").allow?.allowed ?? "no answer") !== (answers[at]?.status === 200)).map((path) => `${template} ${JSON.stringify(path)}`);
      }),
    );
    return all.flat();
  });
}

interface Round {
  envoy: EnvoyBinary;
  module: string;
  seed: number;
  count: number;
  perConfiguration: number;
}

async function compareRound({ envoy: binary, module, seed, count, perConfiguration }: Round, certificates: Certificates, report: Report): Promise<void> {
  const random = new Random(seed);
  const configurations = fc.sample(arbitraryConfigurations, { seed, numRuns: count * 2 + 10 }).filter(({ policies }) => policies.length > 0).slice(0, count).map(distinct);
  report.policies += configurations.reduce((sum, { policies }) => sum + policies.length, 0);
  await withEnvoy(binary, module, configurations, certificates, async (envoy, ports) => {
    const counts = new Map<string, number>();
    const batches = configurations.flatMap((configuration, index) => {
      const nearby = new Nearby(configuration, random, WORDS);
      return Array.from({ length: Math.ceil(perConfiguration / REQUESTS_PER_CONNECTION) }, () => ({
        configuration, index, connection: connectionOf(nearby, random), requests: Array.from({ length: REQUESTS_PER_CONNECTION }, () => requestOf(nearby, random)),
      }));
    });
    let next = 0;
    const work = async (): Promise<void> => {
      for (let batch = batches[next++]; batch; batch = batches[next++]) await compareBatch(batch, ports, certificates, report, counts);
    };
    await Promise.all(Array.from({ length: AT_ONCE }, work));
    report.counters.push(...(await differingCounters(envoy, counts)));
  });
}

/** @param use is given the ports of the configurations' listeners: `<index>/4` and `<index>/6` */
async function withEnvoy<T>(binary: EnvoyBinary, module: string, configurations: readonly Configuration[], certificates: Certificates, use: (envoy: RunningEnvoy, ports: Map<string, number>) => Promise<T>): Promise<T> {
  const directory = temporaryDirectory("differential");
  const file = (name: string): string => join(directory.path, name);
  const files = { serverCertificate: file("server.crt"), serverKey: file("server.key"), authority: file("ca.crt"), module };
  await Promise.all([
    writeFile(files.serverCertificate, certificates.server.certificate),
    writeFile(files.serverKey, certificates.server.key, { mode: 0o600 }),
    writeFile(files.authority, certificates.authority.certificate),
  ]);
  const envoy = await startEnvoy({ config: world(configurations, files, binary.version), envoy: binary, concurrency: 1, logLevel: "warning", readyTimeoutMs: 120_000 });
  try {
    return await use(envoy, await portsOf(envoy));
  } finally {
    await envoy.stop();
    directory.remove();
  }
}

/** Names of their own in each configuration, in the same order, so that counters tell them apart; and no mapped addresses (see RATIONALE.md). */
function distinct(configuration: Configuration, index: number): Configuration {
  const text = JSON.stringify(configuration).replace(/::ffff:10\.0\.0\.1(\/\d+)?/g, "2001:db8::1$1");
  const copy = JSON.parse(text) as Configuration;
  for (const { metadata } of copy.policies) metadata.name = `c${index}.${metadata.name}`;
  return copy;
}

/** `nameless`: a client certificate without any URI SAN, which has a subject nevertheless. */
type ConnectionPart = ReturnType<Nearby["connection"]> & { http2: boolean; tls: boolean; proxied: boolean; nameless: boolean };

function connectionOf(nearby: Nearby, random: Random): ConnectionPart {
  const part = { ...nearby.connection(), http2: random.once(3), tls: !random.once(6), proxied: !random.once(4), nameless: random.once(3) };
  if (!part.tls) {
    delete part.peer;
    delete part.sni;
  }
  part.nameless &&= part.tls && part.peer === undefined;
  // The PROXY protocol takes no multicast, broadcast or unspecified address; X-Forwarded-For does.
  if (/^(0\.0|255)\.|^\[(::|ff.*)\]/.test(part.remote!) || /^(0\.0|255)\.|^\[(::|ff.*)\]/.test(part.destination!)) part.proxied = false;
  // One family for both ends.
  const [six, other] = [part.remote!.startsWith("["), part.destination!.startsWith("[")];
  if (six !== other) part.destination = six ? `[2001:db8::1]:${part.port}` : `10.0.0.1:${part.port}`;
  return part;
}

function requestOf(nearby: Nearby, random: Random): ReturnType<Nearby["request"]> & { forwarded?: string } {
  const request = nearby.request();
  return { ...request, ...(random.once(3) && { forwarded: random.pick(["10.0.0.1", "10.1.2.3", "192.168.1.1", "2001:db8::1", "fe80::1:2:3", "::", "255.255.255.255", "0.0.0.0", "1.1.1.1, 10.0.0.2", "10.0.0.1, nonsense", "::1"]) }) };
}

interface Batch {
  configuration: Configuration;
  index: number;
  connection: ConnectionPart;
  requests: ReturnType<typeof requestOf>[];
}

const host = (endpoint: string): string => (endpoint.startsWith("[") ? endpoint.slice(1, endpoint.indexOf("]")) : endpoint.slice(0, endpoint.indexOf(":")));

async function compareBatch({ configuration, index, connection, requests }: Batch, ports: Map<string, number>, certificates: Certificates, report: Report, counts: Map<string, number>): Promise<void> {
  const direct = connection.direct!;
  const port = ports.get(`${index}/${direct.includes(":") ? 6 : 4}`)!;
  const plan: ConnectionPlan = {
    port,
    direct,
    http2: connection.http2,
    ...(connection.proxied && { proxied: { source: host(connection.remote!), destination: host(connection.destination!), port: connection.port! } }),
    ...(connection.tls && {
      tls: { authority: certificates.authority.certificate, credential: connection.peer === undefined && !connection.nameless ? undefined : await certificates.client(connection.peer === undefined ? [] : [connection.peer]), sni: connection.sni },
    }),
  };
  const seen: Request = {
    ...(connection.peer !== undefined && { peer: connection.peer }),
    sni: connection.sni?.toLowerCase() ?? "", // Envoy's TLS inspector folds it
    direct,
    ...(connection.proxied
      ? { remote: connection.remote!, destination: connection.destination!, port: connection.port! }
      : direct.includes(":") ? { remote: `[${direct}]:1`, destination: `[::1]:${port}`, port } : { remote: `${direct}:1`, destination: `127.0.0.1:${port}`, port }),
  };
  const plans = requests.map(({ method, path, host, headers, route, forwarded }): RequestPlan => ({
    method: method!.replace(/[^A-Za-z]/g, "") || "GET", path: path === "" ? "/" : path!, host: host!.replace(/[^\w.:*-]/g, "") || "x",
    headers: [...headers!, ...(route === "" ? [] : [[ROUTE_HEADER, route!] as const]), ...(forwarded === undefined ? [] : [["x-forwarded-for", forwarded] as const])],
  }));
  const answers = await exchange(plan, plans);
  for (const [position, answer] of answers.entries()) {
    const { method, path, host: authority, headers } = plans[position]!;
    const { forwarded, route } = requests[position]!;
    const last = forwarded?.split(", ").at(-1);
    const request: Request = {
      ...seen, method, path, host: authority, route: route!,
      headers: headers.filter(([name]) => name !== ROUTE_HEADER).map(([name, value]) => [name, value.trim()]),
      ...(last !== undefined && last !== "nonsense" && { remote: last.includes(":") ? `[${last}]:0` : `${last}:0` }),
    };
    judge({ configuration, request, http2: connection.http2, nameless: connection.nameless }, answer, report, counts);
  }
}

function judge(pair: Pick<Difference, "configuration" | "request" | "http2" | "nameless">, answer: Answer | undefined, report: Report, counts: Map<string, number>): void {
  const header = answer?.headers["native"];
  if (header === undefined || /^[|;]*$/.test(header) && answer!.status !== 200 && answer!.status !== 403) {
    report.refused++;
    return;
  }
  const { deny, allow, trial_deny: trialDeny, trial_allow: trialAllow } = readNative(header);
  const rule = (policy: string | undefined): string => (policy === undefined ? "none" : policy.replace(/^ns\[(.*)\]-policy\[(.*)\]-rule\[(\d+)\]$/, "$1/$2#$3"));
  const denied = deny?.allowed === false;
  const allowed = !denied && allow?.allowed !== false;
  const native = { allowed, rule: rule(denied ? deny.policy : allow?.policy) };
  const details = /^selvedge_authz_denied\[(.*)\]$/.exec(answer!.headers["details"] ?? "")?.[1];
  const wasm = { allowed: answer!.status === 200, ...(answer!.status !== 200 && { rule: details ?? answer!.headers["details"] }) };
  // The plain evaluator knows no other names than URIs.
  const oracle = pair.nameless ? native : decide(pair.configuration, pair.request);
  report.pairs++;
  if (pair.http2) report.overHttp2++;
  if (allowed) report.allowed++;
  if (native.rule !== "none") report[allowed ? "byRule" : "deniedByRule"]++;
  const count = (name: string, id: string): void => void counts.set(`${name} ${id}`, (counts.get(`${name} ${id}`) ?? 0) + 1);
  count(allowed ? "allowed" : "denied", native.rule);
  if (trialDeny || trialAllow) {
    const against = trialDeny?.allowed === false;
    const id = rule(against ? trialDeny.policy : trialAllow?.policy);
    if (id !== "none") count(against || trialAllow?.allowed === false ? "dry_run_denied" : "dry_run_allowed", id);
  }
  const same = native.allowed === wasm.allowed && (wasm.allowed || native.rule === wasm.rule) && native.allowed === oracle.allowed && native.rule === oracle.rule;
  if (!same) report.differences.push({ ...pair, native, wasm, oracle });
}

/** authz's counters by policy and rule against what native RBAC said. */
async function differingCounters(envoy: RunningEnvoy, wanted: Map<string, number>): Promise<string[]> {
  const got = new Map<string, number>();
  for (const [name, value] of await envoy.admin.stats("selvedge_authz_")) {
    const parts = /selvedge_authz_(\w+)_total\.policy=\.(.*?);\.rule=\.(.*?);/.exec(name);
    // "none" on trial is counted where no policy on trial applies, too.
    if (parts && value > 0 && !(parts[1]!.startsWith("dry_run") && parts[2] === "none")) got.set(`${parts[1]} ${parts[2]}${parts[2] === "none" ? "" : `#${parts[3]}`}`, value);
  }
  return [...new Set([...got.keys(), ...wanted.keys()])].filter((key) => got.get(key) !== wanted.get(key)).map((key) => `${key}: authz counted ${got.get(key) ?? 0}, native RBAC ${wanted.get(key) ?? 0}`);
}

async function portsOf(envoy: RunningEnvoy): Promise<Map<string, number>> {
  const { body } = await envoy.admin.get("/listeners?format=json");
  const ports = new Map<string, number>();
  type Bound = { socket_address: { port_value: number } };
  for (const { name, local_address: first, additional_local_addresses: others = [] } of (JSON.parse(body) as { listener_statuses: { name: string; local_address: Bound; additional_local_addresses?: Bound[] }[] }).listener_statuses) {
    ports.set(`${name}/4`, first.socket_address.port_value);
    ports.set(`${name}/6`, others[0]!.socket_address.port_value);
  }
  return ports;
}
