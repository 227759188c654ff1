/** The authorization module on the Node host, asked about single requests or connections: its answer is the decision, there is no other. */
import { DRY_RUN } from "../compose/check/authorization.ts";
import { DIRECT_ADDRESS_KEY, PEER_KEY } from "../compose/emit/listener.ts";
import { fail } from "../errors.ts";
import * as cel from "../host/cel.ts";
import { loadFilterSync, type Filter, type Json } from "../host/index.ts";
import { provideCel } from "../host/foreign.ts";
import type { AccessRequest } from "./request.ts";

/** A rule as the module names it. */
export interface RuleName {
  /** `<namespace>/<name>`. */
  policy: string;
  rule: number;
}

export interface ModuleDecision {
  allowed: boolean;
  /** The rule that decided; undefined: no ALLOW rule matched, or none applies. */
  rule: RuleName | undefined;
  /** Denied whatever the policies say: the certificate has more than one URI SAN, or the path no clear reading. */
  ambiguous: "identity" | "path" | undefined;
  /** What the policies on trial would do; undefined where there are none. */
  dryRun: { allowed: boolean; rule: RuleName | undefined } | undefined;
}

interface Counter {
  cell: BigUint64Array;
  seen: bigint;
  dryRun: boolean;
  allowed: boolean;
  ambiguous: ModuleDecision["ambiguous"];
  rule: RuleName | undefined;
}

const COUNTER = /^selvedge_authz_(dry_run_)?(allowed|denied)_total\.policy=\.(.*);\.rule=\.(.*);$/;
/** Metadata in which Envoy's jwt_authn leaves verified claims. */
const JWT_FILTER = "envoy.filters.http.jwt_authn";

/** The authz filter's configuration; what is undefined is left out. */
export type PluginConfig = Record<string, Json | undefined>;

provideCel(cel);

export class AuthzModule {
  readonly #filter: Filter;
  /** Those that counted last come first, so that few are looked at. */
  readonly #counters: Counter[] = [];
  #known = 0;
  readonly #onTrial: boolean;
  readonly #connections: boolean;

  /**
   * @param code the module, or its path
   * @throws SelvedgeError when there is no such module, or it refuses the configuration
   */
  constructor(code: string | Uint8Array, config: PluginConfig) {
    const text = JSON.stringify(config);
    this.#connections = config.protocol === "tcp";
    this.#onTrial = text.includes(`"${DRY_RUN}"`);
    this.#filter = loadFilterSync(code, { name: "authz", config: text, logLevel: "error", timeLimitMs: 0 }).requireRunning();
  }

  /** @param route name of the route that the request takes; undefined: none */
  decide(request: AccessRequest, route: string | undefined): ModuleDecision {
    if (this.#connections) return this.#decideConnection(request);
    const { peer, tls } = request;
    const stream = this.#filter.stream({
      source: { address: request.remote, port: 40_000, uriSans: peer ?? [], ...(peer && { subject: "CN=client" }) },
      destination: request.local,
      tls: tls ? { serverName: request.sni ?? "" } : false,
      routes: route === undefined ? () => undefined : { name: route },
      filterState: { [DIRECT_ADDRESS_KEY]: request.direct, ...(tls && { [PEER_KEY]: peer?.join(",") || "-" }) },
      ...(request.claims && { metadata: { [JWT_FILTER]: { payload: request.claims } } }),
    });
    stream.requestSync({ headers: headersOf(request) });
    // Without a route the proxy itself answers 404 to what was let pass.
    const details = stream.http.localReply?.details ?? "";
    stream.close();
    return this.#decided(details.startsWith("selvedge_"), details);
  }

  #decideConnection({ peer, tls, sni, remote, local, direct, metadata }: AccessRequest): ModuleDecision {
    const connection = this.#filter.tcp({
      source: { address: remote, port: 40_000, uriSans: peer ?? [], ...(peer && { subject: "CN=client" }) },
      destination: local,
      // With TLS the first byte decides, when all is there; what there is decides, not whether it is there by TLS.
      tls: { serverName: sni ?? "" },
      filterState: { [DIRECT_ADDRESS_KEY]: direct, ...(tls && { [PEER_KEY]: peer?.join(",") || "-" }) },
    });
    connection.info.metadata = metadata ?? {};
    connection.data("-");
    const denied = connection.closedBy !== undefined;
    connection.close();
    return this.#decided(denied, "");
  }

  #decided(denied: boolean, details: string): ModuleDecision {
    const decision = this.#counted();
    if (!decision || decision.allowed === denied) {
      fail("module-undecided", `the module gave no decision: ${this.#filter.status.reason ?? (details || "nothing was counted")}`, { fix: "build the modules again: selvedge build" });
    }
    return decision;
  }

  /** The counters that went up since the last look say who decided: one for the decision, one for the policies on trial. */
  #counted(): ModuleDecision | undefined {
    let enforced = this.#moved(false);
    if (!enforced) {
      this.#refresh();
      enforced = this.#moved(false);
    }
    if (!enforced) return undefined;
    const trial = this.#onTrial ? (this.#moved(true) ?? (this.#refresh() ? this.#moved(true) : undefined)) : undefined;
    const { allowed, rule, ambiguous } = enforced;
    return { allowed, rule, ambiguous, dryRun: trial && { allowed: trial.allowed, rule: trial.rule } };
  }

  #moved(dryRun: boolean): Counter | undefined {
    const counters = this.#counters;
    for (let i = 0; i < counters.length; i++) {
      const counter = counters[i]!;
      if (counter.dryRun !== dryRun || counter.cell[0] === counter.seen) continue;
      counter.seen = counter.cell[0]!;
      if (i > 0) {
        counters.splice(i, 1);
        counters.unshift(counter);
      }
      return counter;
    }
    return undefined;
  }

  /** True: there are new ones. */
  #refresh(): boolean {
    const { stats } = this.#filter.host;
    let index = 0;
    const before = this.#counters.length;
    for (const { name, metric } of stats.all()) {
      if (index++ < this.#known) continue;
      const match = COUNTER.exec(name);
      if (!match || metric.kind !== "counter") continue;
      const [, trial, outcome, policy, rule] = match;
      const named = rule !== "none";
      this.#counters.unshift({
        cell: metric.cell,
        seen: 0n,
        dryRun: trial !== undefined,
        allowed: outcome === "allowed",
        ambiguous: policy === "ambiguous_identity" ? "identity" : policy === "ambiguous_path" ? "path" : undefined,
        rule: named ? { policy: policy!, rule: Number(rule) } : undefined,
      });
    }
    this.#known = index;
    return this.#counters.length > before;
  }

  close(): void {
    this.#filter.close();
  }
}

/** As Envoy's connection manager hands them on: it says itself where a request comes from. */
export function headersOf({ method, host, path, headers, remote, tls }: AccessRequest): [string, string][] {
  const forwarded = headers.filter(([name]) => name === "x-forwarded-for").map(([, value]) => value);
  return [
    [":authority", host],
    [":path", path],
    [":method", method],
    [":scheme", tls ? "https" : "http"],
    ...headers.filter(([name]) => name !== "x-forwarded-for" && name !== "x-forwarded-proto"),
    ["x-forwarded-for", [...forwarded, remote].join(",")],
    ["x-forwarded-proto", tls ? "https" : "http"],
  ];
}

