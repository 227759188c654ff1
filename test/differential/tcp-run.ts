/** As run.ts, of connections: native network RBAC, authz.wasm as a network filter, and the plain evaluator. */
import fc from "fast-check";
import { readFile } from "node:fs/promises";
import { setTimeout as sleep } from "node:timers/promises";
import { isDeepStrictEqual } from "node:util";
import { Certificates } from "../../harness/cases/engines/envoy/certificates.ts";
import { onConnections } from "../unit/authz/arbitraries.ts";
import type { Request } from "../unit/authz/core.ts";
import { Nearby, Random } from "../unit/authz/near.ts";
import { decide, matchOf, type Configuration } from "../unit/authz/oracle.ts";
import { knock, type TcpAnswer } from "./client.ts";
import { WORDS, connectionOf, differingCounters, distinct, inParallel, planOf, withEnvoy, type ConnectionPart } from "./envoy.ts";
import { OTHER_FILTER, metadataKeys, tlvsOf } from "./metadata.ts";
import { countsOf, readNative, verdictOf, type NativeResult } from "./native.ts";
import type { Options } from "./run.ts";
import { LINE, accessLog, tcpWorld } from "./tcp-world.ts";

const PER_ENVOY = 60;
const AT_ONCE = 8;
/** Until Envoy has written about a connection that is gone. */
const LOG_TIMEOUT_MS = 120_000;

export interface TcpReport {
  /** Connections that all three decided. */
  pairs: number;
  allowed: number;
  byRule: number;
  deniedByRule: number;
  audited: number;
  overTls: number;
  policies: number;
  differences: { configuration: Configuration; request: Request; nameless: boolean; native: unknown; wasm: unknown; oracle: unknown }[];
  counters: string[];
}

export async function compareTcp(options: Omit<Options, "progress"> & { progress?: (report: TcpReport) => void }): Promise<TcpReport> {
  const report: TcpReport = { pairs: 0, allowed: 0, byRule: 0, deniedByRule: 0, audited: 0, overTls: 0, policies: 0, differences: [], counters: [] };
  const certificates = await Certificates.create();
  for (let round = 0; report.pairs < options.pairs; round++) {
    const left = options.pairs - report.pairs;
    const perConfiguration = Math.min(50, Math.max(10, Math.ceil(left / PER_ENVOY)));
    await compareRound({ ...options, seed: options.seed + round }, Math.min(PER_ENVOY, Math.ceil(left / perConfiguration)), perConfiguration, certificates, report);
    options.progress?.(report);
    if (report.differences.length > 20) break;
  }
  return report;
}

interface Question {
  configuration: Configuration;
  index: number;
  connection: ConnectionPart;
  metadata: Record<string, string>;
  request: Request;
  answer?: TcpAnswer;
}

async function compareRound({ envoy: binary, module, seed }: Omit<Options, "progress">, count: number, perConfiguration: number, certificates: Certificates, report: TcpReport): Promise<void> {
  const random = new Random(seed);
  const configurations = fc.sample(onConnections, { seed, numRuns: count * 2 + 10 }).filter(({ policies }) => policies.length > 0).slice(0, count).map(distinct);
  report.policies += configurations.reduce((sum, { policies }) => sum + policies.length, 0);
  await withEnvoy(binary, module, (files, directory) => tcpWorld(configurations, files, directory, binary.version), certificates, async (envoy, ports, directory) => {
    const log = new Log(accessLog(directory));
    const questions = configurations.flatMap((configuration, index) => {
      const nearby = new Nearby(configuration, random, WORDS);
      return Array.from({ length: perConfiguration }, (): Question => questionOf(configuration, index, nearby, random));
    });
    const ask = async (question: Question): Promise<void> => {
      const { connection, index, configuration, metadata } = question;
      const { plan, seen } = await planOf(connection, ports, index, certificates);
      if (plan.proxied) plan.proxied.tlvs = tlvsOf(metadataKeys(configuration), metadata);
      question.request = { ...seen, ...(plan.proxied && { metadata: { [OTHER_FILTER]: metadata } }) };
      question.answer = await knock(plan);
    };
    await inParallel(questions, AT_ONCE, ask);
    for (const question of questions) {
      let native = await log.next(question.index, question.answer!.from);
      // Closed without an answer though it should have got one: a decision does that again, a connection that broke doesn't.
      for (let again = 0; again < 2 && !question.answer!.allowed && verdictOf(native).allowed; again++) {
        await ask(question);
        native = await log.next(question.index, question.answer!.from);
      }
      judge(question, native, report);
    }
    report.counters.push(...(await differingCounters(envoy, log.counts)));
  });
}

function questionOf(configuration: Configuration, index: number, nearby: Nearby, random: Random): Question {
  const connection = connectionOf(nearby, random);
  const metadata = Object.entries(nearby.metadata()[OTHER_FILTER] ?? {}).filter((entry): entry is [string, string] => typeof entry[1] === "string" && entry[1] !== "");
  return { configuration, index, connection, metadata: Object.fromEntries(metadata), request: {} };
}

function judge({ configuration, request, connection: { nameless, tls }, answer }: Question, result: NativeResult, report: TcpReport): void {
  const { handedOver: _, ...native } = verdictOf(result);
  const wasm = { allowed: answer!.allowed };
  const oracle = nameless ? native : { ...decide(configuration, request), audited: matchOf(configuration, request, "AUDIT") };
  report.pairs++;
  if (native.allowed) report.allowed++;
  if (native.rule !== "none") report[native.allowed ? "byRule" : "deniedByRule"]++;
  if (native.audited !== undefined) report.audited++;
  if (tls) report.overTls++;
  if (native.allowed !== wasm.allowed || !isDeepStrictEqual(native, oracle)) report.differences.push({ configuration, request, nameless, native, wasm, oracle });
}

/** What Envoy wrote about connections, each of them when it is gone. */
class Log {
  /** Of all of them, also such as nobody waits for. */
  readonly counts = new Map<string, number>();
  private read = 0;
  private readonly lines = new Map<string, NativeResult[]>();

  constructor(private readonly file: string) {}

  /** The next connection of this caller's to that listener. */
  async next(index: number, from: string): Promise<NativeResult> {
    const key = `${index} ${from}`;
    for (const end = Date.now() + LOG_TIMEOUT_MS; ; await sleep(20)) {
      const found = this.lines.get(key)?.shift();
      if (found) return found;
      if (Date.now() > end) throw new Error(`Envoy wrote nothing about the connection from ${from} to listener ${index}`);
      await this.more();
    }
  }

  private async more(): Promise<void> {
    const text = (await readFile(this.file, "utf8")).slice(this.read);
    const whole = text.slice(0, text.lastIndexOf("\n") + 1);
    this.read += whole.length;
    for (const line of whole.split("\n").slice(0, -1)) {
      const [, index, from, asked, native] = LINE.exec(line)!;
      if (asked !== "allowed") continue; // a handshake that failed, or a connection that broke before its first byte
      const result = readNative(native!);
      const key = `${index} ${from}`;
      this.lines.set(key, [...(this.lines.get(key) ?? []), result]);
      for (const name of countsOf(result)) this.counts.set(name, (this.counts.get(name) ?? 0) + 1);
    }
  }
}
