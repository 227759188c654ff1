/** Keys, bundles and mounted configurations for tests. */
import { generateKeyPairSync, type KeyObject } from "node:crypto";
import { compileModule, releaseOptions } from "../../../harness/build/index.ts";
import { seal, type Envelope, type Payload } from "../../../harness/bundle/envelope.ts";
import { encodePublicKey } from "../../../harness/bundle/keys.ts";
import { DEFAULT_EPOCH_MS, Host, loadFilter, type Filter, type HostOptions } from "../../../harness/host/index.ts";
import { MetricsView } from "../../../harness/host/stats.ts";

export interface Pair {
  privateKey: KeyObject;
  publicKey: KeyObject;
}

export const pair = (): Pair => generateKeyPairSync("ec", { namedCurve: "prime256v1" });
/** The signer that nodes trust unless a test says otherwise, the one that follows it, and one that nobody trusts. */
export const [signer, successor, stranger] = [pair(), pair(), pair()] as const;

/** The fake clock's beginning, in seconds. */
export const NOW = Math.floor(DEFAULT_EPOCH_MS / 1000);
export const DAY = 86_400;

/** Policies that let nothing but this path through. */
export const allowing = (path: string): Record<string, unknown> => ({ namespace: "prod", policies: [{ metadata: { name: "only" }, spec: { rules: [{ to: [{ operation: { paths: [path] } }] }] } }] });

export const payload = (version: number, rest: Partial<Payload> = {}): Payload => ({ version, expires: NOW + DAY, audience: ["edge-1"], authz: allowing(`/v${version}`), ...rest });

export const signed = (content: Payload, ...by: Pair[]): Envelope => seal(content, (by.length > 0 ? by : [signer]).map(({ privateKey }) => ({ key: privateKey })));

export const trust = (rest: Record<string, unknown> = {}, ...keys: Pair[]): Record<string, unknown> => ({
  keys: (keys.length > 0 ? keys : [signer]).map(({ publicKey }) => encodePublicKey(publicKey)),
  audience: "edge-1",
  ...rest,
});

let module: Promise<Uint8Array> | undefined;

/** Compiled once for each test file. */
export function authz(): Promise<Uint8Array> {
  return (module ??= compileModule({ entry: "filters/authz/assembly/index.ts", options: { ...releaseOptions, optimizeLevel: 1, exportRuntime: false } }));
}

/** A node: an Envoy's worth of host, to which configurations are offered one after another. */
export class Node {
  readonly host: Host;
  running: Filter | undefined;

  constructor(options: HostOptions = {}) {
    this.host = new Host({ topology: "envoy", ...options });
  }

  /** As Envoy does: a configuration that is refused leaves the running one alone. The refusal's reason, or "". */
  async offer(config: unknown, vmId = "authz"): Promise<string> {
    const filter = await loadFilter(await authz(), { host: this.host as never, name: "edge-authz", rootId: "authz", vmId, config: typeof config === "string" ? config : JSON.stringify(config) });
    if (filter.status.state === "rejected") return filter.logs.filter(({ level }) => level === "critical").at(-1)?.message ?? filter.status.reason ?? "no reason";
    this.running?.close();
    this.running = filter;
    return "";
  }

  /** Which of these paths get through. */
  async allowed(...paths: string[]): Promise<string[]> {
    const through: string[] = [];
    for (const path of paths) {
      const { status } = await this.running!.http({ path, authority: "x" });
      if (status === 200) through.push(path);
    }
    return through;
  }

  async details(path = "/"): Promise<string | undefined> {
    return (await this.running!.http({ path, authority: "x" })).localReply?.details;
  }

  gauge(name: string): number {
    return new MetricsView(this.host.stats).gauge(`selvedge_authz_${name}.plugin=.edge-authz;`);
  }

  rejected(reason: string): number {
    return new MetricsView(this.host.stats).counter(`selvedge_authz_bundle_rejections_total.reason=.${reason};.plugin=.edge-authz;`);
  }

  /** Lines about bundles and configurations, in order. */
  get lines(): string[] {
    return this.host.logs.filter(({ from }) => from === "wasm").map(({ message }) => message.replace("selvedge: authz: ", ""));
  }
}
