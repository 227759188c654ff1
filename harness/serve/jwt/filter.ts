/** envoy.filters.http.jwt_authn: a request with a token that isn't valid is answered, one without goes on without claims. */
import type { Clock, HeaderMap, Host, Json } from "../../host/index.ts";
import { HeadersAction } from "../../host/types.ts";
import { PassFilter } from "../filters/pass.ts";
import type { Counters } from "../report/counters.ts";
import type { ServedRoute } from "../router/match.ts";
import { JWT_FILTER, type JwtConfig, type JwtRequirementConfig } from "../schema/jwt.ts";
import type { Cluster } from "../upstream/cluster.ts";
import { JwtProvider } from "./provider.ts";
import { RemoteKeys } from "./remote.ts";
import { STATUS, type Status } from "./status.ts";

interface Requirement {
  providers: JwtProvider[];
  allowMissing: boolean;
}

/** What all requests through one filter share. */
export class JwtAuthentication {
  readonly requirements: ReadonlyMap<string, Requirement>;
  readonly #providers: ReadonlyMap<string, JwtProvider>;

  constructor({ providers, requirement_map }: JwtConfig, clusters: ReadonlyMap<string, Cluster>, counters: Counters) {
    this.#providers = new Map(Object.entries(providers).map(([name, each]) => [name, new JwtProvider(each, each.remote_jwks && new RemoteKeys(each.remote_jwks, clusters.get(each.remote_jwks.http_uri.cluster)!, counters))]));
    this.requirements = new Map(Object.entries(requirement_map).map(([name, each]) => [name, this.#requirement(each)]));
  }

  start(): void {
    for (const { remote } of this.#providers.values()) remote?.start();
  }

  close(): void {
    for (const { remote } of this.#providers.values()) remote?.close();
  }

  #requirement({ requires_any: { requirements } }: JwtRequirementConfig): Requirement {
    return {
      providers: requirements.flatMap((each) => ("provider_name" in each ? [this.#providers.get(each.provider_name)!] : [])),
      allowMissing: requirements.some((each) => "allow_missing" in each),
    };
  }
}

const LONGEST_PATH = 256;

export class JwtFilter extends PassFilter {
  readonly #authentication: JwtAuthentication;
  readonly #now: () => number;
  #claims: Record<string, Json> = {};
  #decided = false;
  #waits = false;

  constructor(host: Host<Clock>, authentication: JwtAuthentication) {
    super(host);
    this.#authentication = authentication;
    this.#now = () => Number(host.clock.wallNs() / 1_000_000_000n);
  }

  override decodeHeaders(headers: HeaderMap): number {
    const route = this.stream.route() as ServedRoute | undefined;
    const name = route?.config.typed_per_filter_config?.[JWT_FILTER]?.requirement_name;
    if (name === undefined || isPreflight(headers)) return HeadersAction.Continue;
    const requirement = this.#authentication.requirements.get(name)!;
    const realm = `${headers.get("x-forwarded-proto") ?? ""}://${headers.get(":authority") ?? ""}${(headers.get(":path") ?? "").slice(0, LONGEST_PATH)}`;
    let status: Status | undefined;
    this.#verify(requirement, headers, (result) => {
      this.#decided = true;
      if (!this.#waits) status = result;
      else if (result === STATUS.ok) this.resume();
      else this.later(() => this.#refuse(result, realm));
    });
    if (status === STATUS.ok) return HeadersAction.Continue;
    if (status !== undefined) this.#refuse(status, realm);
    this.#waits = true;
    return HeadersAction.StopAllIterationAndWatermark;
  }

  override destroy(): void {
    this.#decided = true;
  }

  /** One issuer's good token is enough; otherwise the reason that says most. */
  #verify({ providers, allowMissing }: Requirement, headers: HeaderMap, done: (status: Status) => void): void {
    if (providers.length === 0) return done(allowMissing ? STATUS.ok : STATUS.missed);
    const results = new Array<Status | undefined>(providers.length);
    const verification = { headers, nowSeconds: this.#now, cancelled: () => this.#decided, claims: (key: string, payload: Json) => void (this.#claims[key] = payload) };
    for (const [i, provider] of providers.entries()) {
      if (this.#decided) return;
      provider.verify(verification, (status) => {
        if (this.#decided) return;
        if (status === STATUS.ok) {
          this.stream.info.metadata[JWT_FILTER] = this.#claims;
          return done(STATUS.ok);
        }
        results[i] = status;
        if (results.includes(undefined)) return;
        const reason = foremost(results as Status[]);
        done(allowMissing && reason === STATUS.missed ? STATUS.ok : reason);
      });
    }
  }

  #refuse(status: Status, realm: string): void {
    const error = status === STATUS.missed ? "" : ', error="invalid_token"';
    this.stream.sendLocalReply({
      status: status === STATUS.audience ? 403 : 401,
      body: Buffer.from(status),
      headers: ["www-authenticate", `Bearer realm="${realm}"${error}`],
      grpcStatus: -1,
      details: `jwt_authn_access_denied{${status.replaceAll(" ", "_")}}`,
    });
  }
}

/** Rather what was wrong with a token than that there was none, or none of an issuer's. */
function foremost(results: readonly Status[]): Status {
  let reason: Status = STATUS.missed;
  for (const status of results) if ((status !== STATUS.missed && status !== STATUS.unknownIssuer) || reason === STATUS.missed) reason = status;
  return reason;
}

/** Browsers send no token with it. */
function isPreflight(headers: HeaderMap): boolean {
  return headers.get(":method") === "OPTIONS" && (headers.get("origin") ?? "") !== "" && (headers.get("access-control-request-method") ?? "") !== "";
}
