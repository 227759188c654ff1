/**
 * Runs cases in a real Envoy: one process for a few hundred of them, a listener for each case, a client with a certificate of its own
 * for each identity, and a real upstream.
 */
import { readFileSync, statSync } from "node:fs";
import { rename, writeFile } from "node:fs/promises";
import { get } from "node:http";
import { join, resolve } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { lastTrap } from "../../build/backtrace.ts";
import { Symbolizer } from "../../build/symbolize.ts";
import { fail, SelvedgeError } from "../../errors.ts";
import { startEnvoy, type RunningEnvoy } from "../../envoy/index.ts";
import { temporaryDirectory, type TemporaryDirectory } from "../../tempdir.ts";
import type { Engine, Satisfied } from "../engine.ts";
import { clustersOf, planConnection, planRequest, type CaseObservation, type CasePlan, type ConnectionSeen, type Exchange, type StepObservation, type StepPlan } from "../plan.ts";
import { Certificates } from "./envoy/certificates.ts";
import { send } from "./envoy/client.ts";
import type { CallAnswerSpec } from "../schema-calls.ts";
import { partsOf } from "../snapshot.ts";
import { Stubs } from "../stubs.ts";
import { CLUSTERS, replyDetails, TCP_CLUSTER } from "./common.ts";
import { Callouts } from "./envoy/callouts.ts";
import { converse, TcpUpstream } from "./envoy/connection.ts";
import { bootstrap, discovery, doorsOf, doorOf, listenerName, MARK, pluginName, shares, type Files } from "./envoy/config.ts";
import { lastWords, linesOf, refusal, refusalLines } from "./envoy/log.ts";
import { LineReader } from "./envoy/line-reader.ts";
import { changes, isOf, snapshot, type Snapshot } from "./envoy/metrics.ts";
import { Upstream } from "./envoy/upstream.ts";

/** How long Envoy may take for a listener that comes while it runs. */
const OPEN_MS = 30_000;

/** How long Envoy may take to count and log what is over, on a machine that has other things to do. */
const BUSY_MS = 30_000;

/** How long what is expected may lag behind that: what a filter does by itself, and lines of its log. */
const LAG_MS = 3_000;

/** After an error, until it is known whether Envoy has ended. */
const EXIT_MS = 200;

export function envoyEngine(binary: { path: string; image?: string; version: string }): Engine {
  return new EnvoyEngine(binary);
}

interface AccessLine {
  plugin: string;
  status: number;
  details: string | null;
  route: string | null;
}

/** Of a connection. */
interface ConnectionLine {
  plugin: string;
  /** Why Envoy or a filter closed it, if they did. */
  closed: string | null;
}

class EnvoyEngine implements Engine {
  readonly name = "envoy";
  #envoy: RunningEnvoy | undefined;
  #upstream: Upstream | undefined;
  #tcpUpstream: TcpUpstream | undefined;
  #callouts: Callouts | undefined;
  #files: Files | undefined;
  #cases: readonly CasePlan[] = [];
  /** Which Envoy each case is for, of those that come one after another. */
  #parts: readonly number[] = [];
  /** Which one this is. */
  #part = -1;
  /** Cases whose listeners stay as long as this Envoy. */
  #resident: CasePlan[] = [];
  #revision = 1;
  #certificates!: Certificates;
  #directory: TemporaryDirectory | undefined;
  #ports = new Map<string, number>();
  #before!: Snapshot;
  #accessLog!: LineReader;
  #logAt = 0;
  #ended = false;
  /** Marks that were made in this Envoy. */
  #marks = 0;
  /** Connections that its upstream had before this Envoy. */
  #acceptedBefore = 0;
  readonly #symbolizers = new Map<string, Symbolizer>();

  constructor(private readonly binary: { path: string; image?: string; version: string }) {}

  async prepare(plans: readonly CasePlan[]): Promise<void> {
    const directory = (this.#directory = temporaryDirectory("cases"));
    this.#certificates = await Certificates.create();
    this.#cases = plans;
    this.#parts = shares(plans, (module) => statSync(module, { throwIfNoEntry: false })?.size ?? 0);
    this.#files = await this.#writeFiles(directory);
    this.#callouts = await Callouts.start(plans);
    this.#upstream = await Upstream.start();
    this.#tcpUpstream = await TcpUpstream.start();
    await this.#start(0);
  }

  /** Starts the Envoy that has this part of the cases, in the place of the one before. */
  async #start(part: number): Promise<RunningEnvoy> {
    await this.#envoy?.stop();
    const files = this.#files!;
    const mine = this.#cases.filter((_, index) => this.#parts[index] === part).map((plan) => ({ ...plan, module: resolve(plan.module) }));
    // A filter that calls out may do so at any time. It is there only while its case runs: what is called is the case's.
    this.#resident = mine.filter((plan) => !comesAndGoes(plan));
    await writeFile(files.accessLog, "");
    await writeFile(files.listeners, JSON.stringify(discovery(this.#resident, files, this.binary.version)));
    const { ports } = this.#upstream!;
    const clusters = [...(["http1", "http2"] as const).map((protocol) => ({ name: CLUSTERS[protocol], port: ports[protocol], protocol })), { name: TCP_CLUSTER, port: this.#tcpUpstream!.port, protocol: "http1" as const }, ...this.#callouts!.clusters];
    const envoy = await startEnvoy({
      config: bootstrap(files, clusters),
      envoy: this.binary,
      concurrency: 1,
      logLevel: "warning",
      componentLogLevel: "wasm:info",
      extraArgs: ["--file-flush-interval-msec", "5"],
      drainSeconds: 0,
      readyTimeoutMs: 120_000,
    });
    this.#envoy = envoy;
    this.#ended = false;
    void envoy.exited.then(() => (this.#ended ||= this.#envoy === envoy));
    this.#part = part;
    this.#ports = new Map((await envoy.admin.listeners()).map(({ name, port }) => [name, port]));
    this.#accessLog = new LineReader(files.accessLog, BUSY_MS);
    this.#marks = 0;
    this.#logAt = 0;
    this.#acceptedBefore = this.#tcpUpstream!.accepted;
    this.#before = await snapshot(envoy.admin);
    return envoy;
  }

  async #writeFiles({ path }: TemporaryDirectory): Promise<Files> {
    const { authority, server } = this.#certificates;
    const file = (name: string): string => join(path, name);
    const files: Files = { accessLog: file("access.log"), listeners: file("listeners.json"), serverCertificate: file("server.crt"), serverKey: file("server.key"), authority: file("ca.crt") };
    await Promise.all([
      writeFile(files.serverCertificate, server.certificate),
      writeFile(files.serverKey, server.key, { mode: 0o600 }),
      writeFile(files.authority, authority.certificate),
    ]);
    return files;
  }

  async run(plan: CasePlan, satisfied: Satisfied): Promise<CaseObservation> {
    const running = this.#envoy ?? fail("engine-not-ready", "this engine wasn't prepared");
    const part = this.#parts[this.#cases.indexOf(plan)] ?? 0;
    const envoy = part === this.#part && !this.#ended ? running : await this.#start(part);
    try {
      return await Promise.race([this.#runCase(plan, envoy, satisfied), envoy.exited.then(() => Promise.reject(new Error("Envoy is gone")))]);
    } catch (error) {
      await Promise.race([envoy.exited, sleep(EXIT_MS)]);
      if (!this.#ended) throw error;
      const message = "Envoy itself ended in this case: there are things that a module may do and it doesn't survive, such as a local reply from `proxy_on_log`";
      throw new SelvedgeError({ code: "envoy-ended", severity: "error", message, where: plan.where, found: lastWords(envoy.log()) }, { cause: error });
    }
  }

  async #runCase(plan: CasePlan, envoy: RunningEnvoy, satisfied: Satisfied): Promise<CaseObservation> {
    const name = pluginName(plan);
    const given = new Set<CallAnswerSpec>();
    if (comesAndGoes(plan)) {
      await this.#callouts!.begin(new Stubs(plan.steps[0]!.clusters, given));
      this.#callouts!.take();
      await this.#open(plan, envoy);
    }
    try {
      if (![...this.#ports.keys()].some((listener) => listener.startsWith(`${name}/`))) return { configurationError: refusal(envoy.log(), name), ...this.#trapOf(plan, refusalLines(envoy.log(), name).join("\n")), steps: [] };
      const steps: StepObservation[] = [];
      // A worker that answers another listener has this case's VM: what it logged at its start isn't of the first step.
      if (plan.steps.some(readsLog)) await this.#mark();
      for (const [index, step] of plan.steps.entries()) {
        if (comesAndGoes(plan)) await this.#callouts!.begin(new Stubs(step.clusters, given));
        steps.push(await this.#runStep(plan, step, envoy, (seen) => satisfied(index, seen)));
      }
      const trapped = steps.some(({ exchanges }) => exchanges.some(({ status, details }) => status === undefined || details?.startsWith("wasm_fail")));
      return { ...(trapped && this.#trapOf(plan, envoy.log())), steps };
    } finally {
      if (comesAndGoes(plan)) await this.#shut(plan, envoy);
    }
  }

  /** Waits until this case is gone, ticks and all: what it does by itself would be taken for the next one's. */
  async #shut(plan: CasePlan, envoy: RunningEnvoy): Promise<void> {
    if (this.#ended || this.#envoy !== envoy) return;
    await this.#discover(this.#resident);
    for (const deadline = Date.now() + OPEN_MS; Date.now() < deadline; await sleep(5)) {
      const left = (await envoy.admin.listeners()).some(({ name }) => name.startsWith(`${pluginName(plan)}/`));
      if (!left && (await snapshot(envoy.admin)).draining === 0) return;
    }
    fail("envoy-listener-stays", `Envoy still has this case's listener after ${OPEN_MS} ms`, { where: plan.where });
  }

  /** Waits until Envoy serves this case, or has refused it. */
  async #open(plan: CasePlan, envoy: RunningEnvoy): Promise<void> {
    const name = pluginName(plan);
    let at = this.#logEnd(envoy);
    let logged = "";
    const wanted = doorsOf(plan).map((door) => listenerName(plan, door));
    await this.#discover([...this.#resident, { ...plan, module: resolve(plan.module) }]);
    for (const deadline = Date.now() + OPEN_MS; Date.now() < deadline; await sleep(5)) {
      // While Envoy compiles a large module it answers nobody.
      const open = new Map((await envoy.admin.listeners().catch((error: unknown) => (this.#ended ? Promise.reject(error as Error) : []))).map((each) => [each.name, each.port]));
      if (wanted.every((each) => open.has(each))) {
        for (const each of wanted) this.#ports.set(each, open.get(each)!);
        return;
      }
      const more = envoy.readLog(at);
      at = more.next;
      logged += more.text;
      if (logged.includes(`${name} failed to load`) || logged.includes(`'${name}/`)) return;
    }
    fail("envoy-listener-missing", `Envoy has no listener for this case after ${OPEN_MS} ms`, { where: plan.where });
  }

  /** Envoy watches for a file that takes the place of this one. */
  async #discover(plans: readonly CasePlan[]): Promise<void> {
    const files = this.#files!;
    const next = `${files.listeners}.next`;
    await writeFile(next, JSON.stringify(discovery(plans, files, this.binary.version, ++this.#revision)));
    await rename(next, files.listeners);
  }

  /** The position after what has been logged so far: a filter that logs at each tick makes a log that is no longer read whole. */
  #logEnd(envoy: RunningEnvoy): number {
    return (this.#logAt = envoy.readLog(this.#logAt).next);
  }

  #trapOf({ module }: CasePlan, log: string): Pick<CaseObservation, "trap"> {
    const symbolizer = this.#symbolizers.get(module) ?? new Symbolizer(readFileSync(module), module);
    this.#symbolizers.set(module, symbolizer);
    const trap = lastTrap(log, symbolizer);
    return trap === undefined ? {} : { trap };
  }

  async #runStep(plan: CasePlan, step: StepPlan, envoy: RunningEnvoy, satisfied: (seen: StepObservation) => boolean): Promise<StepObservation> {
    const name = pluginName(plan);
    const reads = readsLog(step);
    let at = reads ? this.#logEnd(envoy) : 0;
    let logged = "";
    if (step.waitMs > 0) await sleep(step.waitMs);
    const exchanges: Exchange[] = [];
    let timeMs = 0;
    for (let n = 0; step.request !== undefined && n < step.repeat; n++) {
      const request = planRequest(step.request, n);
      const upstream = this.#upstream!;
      upstream.plan = step.upstream;
      upstream.seen = undefined;
      const door = doorOf(request, step.upstream.protocol);
      const port = this.#ports.get(listenerName(plan, door)) ?? fail("envoy-listener-missing", `Envoy has no listener for route ${request.route}`);
      const started = performance.now();
      const answer = await send(request, port, this.#certificates);
      timeMs += performance.now() - started;
      exchanges.push({ ...answer, details: undefined, route: undefined, upstream: upstream.seen });
    }
    const connections: ConnectionSeen[] = [];
    for (let n = 0; step.connection !== undefined && n < step.repeat; n++) {
      const started = performance.now();
      connections.push(await this.#connect(plan, step, n, envoy));
      timeMs += performance.now() - started;
    }
    // In the order in which the requests ended: one after another.
    const lines = await this.#accessLog.next(exchanges.length, (line) => (JSON.parse(line) as AccessLine).plugin === name);
    lines.forEach((line, index) => {
      const { details, route } = JSON.parse(line) as AccessLine;
      exchanges[index]!.details = replyDetails(details);
      exchanges[index]!.route = route === null || route === "" ? undefined : route;
    });
    const over = exchanges.every(({ complete }) => complete) && connections.length === 0;
    for (let after = await this.#settled(envoy, over), start = Date.now(); ; await sleep(3), after = await snapshot(envoy.admin)) {
      if (reads) {
        const more = envoy.readLog(at);
        at = more.next;
        logged += more.text;
      }
      const logs = reads ? linesOf(logged, name) : [];
      const seen: StepObservation = { exchanges, connections, calls: this.#callouts!.calls, metrics: changes(this.#before, after).filter((change) => isOf(change, name)), logs, timeMs };
      if (!satisfied(seen) && Date.now() - start < LAG_MS) continue;
      this.#before = after;
      this.#callouts!.take();
      return seen;
    }
  }

  /**
   * Looks when every stream and connection is over and everything that was counted for it shows: Envoy merges histograms
   * after each look at them, so what one look misses, a later one sees.
   *
   * @param over the client knows that they are
   */
  async #settled(envoy: RunningEnvoy, over: boolean): Promise<Snapshot> {
    let marked = false;
    for (const deadline = Date.now() + BUSY_MS; Date.now() < deadline; await sleep(2)) {
      if (over && !marked) {
        await this.#mark();
        marked = true;
      }
      const seen = await snapshot(envoy.admin);
      over = seen.active + seen.open === 0;
      // What is over only now is counted after the mark.
      if (!over) marked = false;
      else if (marked && seen.marks >= this.#marks) return seen;
    }
    return fail("envoy-busy", `Envoy isn't done with this step after ${BUSY_MS} ms, or its metrics don't show it`);
  }

  async #mark(): Promise<void> {
    await mark(this.#ports.get(MARK)!);
    this.#marks++;
  }

  async #connect(plan: CasePlan, step: StepPlan, n: number, envoy: RunningEnvoy): Promise<ConnectionSeen> {
    const connection = planConnection(step.connection!, n);
    const { tls } = connection;
    const port = this.#ports.get(listenerName(plan, { tcp: true, tls })) ?? fail("envoy-listener-missing", "Envoy has no listener for connections of this case");
    const { received, first, upstream } = await converse(connection, step.script, port, this.#certificates, this.#tcpUpstream!);
    const [line] = await this.#accessLog.next(1, (each) => (JSON.parse(each) as ConnectionLine).plugin === pluginName(plan));
    const { closed } = JSON.parse(line!) as ConnectionLine;
    // One that Envoy still made is nobody's, and must not be taken for the next one's.
    if (tls && first !== "upstream") await this.#quiet(envoy);
    const byFilter = closed?.startsWith("wasm") === true || first === undefined;
    return { received, closed: byFilter ? "filter" : first, upstream: { received: upstream.received, connected: tls ? undefined : upstream.connected } };
  }

  /** Waits until every connection that Envoy made has come. */
  async #quiet(envoy: RunningEnvoy): Promise<void> {
    for (const deadline = Date.now() + BUSY_MS; Date.now() < deadline; await sleep(3)) {
      if (this.#tcpUpstream!.accepted - this.#acceptedBefore >= (await snapshot(envoy.admin)).connected) return;
    }
  }

  async close(): Promise<void> {
    await this.#envoy?.stop();
    await this.#tcpUpstream?.close();
    await this.#upstream?.close();
    await this.#callouts?.close();
    this.#directory?.remove();
    this.#envoy = undefined;
  }
}

/** One request to the listener that is there for it. */
function mark(port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    get({ host: "127.0.0.1", port, path: "/", agent: false }, (response) => response.resume().on("end", resolve).on("error", reject)).on("error", reject);
  });
}

const readsLog = ({ expect }: StepPlan): boolean => expect.logs !== undefined || expect["no-logs"] !== undefined || (expect.snapshot !== undefined && partsOf(expect.snapshot).includes("logs"));

const comesAndGoes = (plan: CasePlan): boolean => clustersOf(plan).size > 0;
