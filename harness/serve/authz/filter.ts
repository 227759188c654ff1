/** envoy.filters.http.ext_authz: a request waits until an authorizer has said yes. Without an answer there is no yes, unless the policy says so. */
import type { Clock, HeaderMap, Host } from "../../host/index.ts";
import type { ByteBuffer } from "../../host/byte-buffer.ts";
import { bytesToByteString, toByteString } from "../../host/bytes.ts";
import { DataAction, HeadersAction, TrailersAction } from "../../host/types.ts";
import { PassFilter } from "../filters/pass.ts";
import { FLAGS } from "../flags.ts";
import { parameters, withParameter, withoutParameter } from "../router/query.ts";
import type { CustomConfig, ExtAuthzConfig } from "../schema/ext-authz.ts";
import type { Cluster } from "../upstream/cluster.ts";
import { ALLOWED, type CheckInput, type HeaderChange, type Verdict } from "./check.ts";
import { checkGrpc } from "./grpc.ts";
import { checkHttp } from "./http.ts";

/** What all requests through one filter share. */
export class Authorizer {
  readonly config: ExtAuthzConfig;
  readonly #key: string;
  readonly #skips: ReadonlySet<string>;
  readonly #cluster: Cluster;

  constructor({ xds_matcher: { matcher_tree }, extension_config }: CustomConfig, clusters: ReadonlyMap<string, Cluster>) {
    this.config = extension_config.typed_config;
    this.#key = matcher_tree.input.typed_config.key;
    this.#skips = new Set(Object.keys(matcher_tree.exact_match_map.map).map(toByteString));
    this.#cluster = clusters.get(clusterOf(this.config)!)!;
  }

  /** Only a mark that says so lets a request off: none is not enough. */
  skips({ filterState }: { filterState: { get(key: string): { value: Uint8Array } | undefined } }): boolean {
    const mark = filterState.get(this.#key);
    return mark !== undefined && this.#skips.has(bytesToByteString(mark.value));
  }

  check(input: CheckInput, done: (verdict: Verdict) => void): () => void {
    const check = this.config.grpc_service ? checkGrpc : checkHttp;
    return check(this.#cluster, this.config, input, done);
  }
}

/** Undefined: neither or both of the two services. */
export function clusterOf({ http_service, grpc_service }: ExtAuthzConfig): string | undefined {
  if ((http_service === undefined) === (grpc_service === undefined)) return undefined;
  return http_service?.server_uri.cluster ?? grpc_service?.envoy_grpc.cluster_name;
}

export class ExtAuthzFilter extends PassFilter {
  readonly #authorizer: Authorizer;
  #headers!: HeaderMap;
  #state: "idle" | "buffering" | "asking" | "done" = "idle";
  #body: Uint8Array[] = [];
  #bytes = 0;
  #giveUp: (() => void) | undefined;
  #toClient: HeaderChange[] = [];

  constructor(host: Host<Clock>, authorizer: Authorizer) {
    super(host);
    this.#authorizer = authorizer;
  }

  override decodeHeaders(headers: HeaderMap, endStream: boolean): number {
    if (this.#authorizer.skips(this.stream.info)) return HeadersAction.Continue;
    this.#headers = headers;
    const wanted = this.#authorizer.config.with_request_body;
    if (wanted && !endStream && !/^websocket$/i.test(headers.get("upgrade") ?? "")) {
      this.#state = "buffering";
      if (!wanted.allow_partial_message) this.stream.decode.limit = wanted.max_request_bytes;
      return HeadersAction.StopIteration;
    }
    this.#ask(false);
    return HeadersAction.StopAllIterationAndWatermark;
  }

  override decodeData(data: ByteBuffer, endStream: boolean): number {
    if (this.#state === "asking") return DataAction.StopIterationAndWatermark;
    if (this.#state !== "buffering") return DataAction.Continue;
    const { max_request_bytes: most, allow_partial_message } = this.#authorizer.config.with_request_body!;
    this.#body.push(Uint8Array.from(data.bytes()));
    this.#bytes += data.length;
    const full = allow_partial_message === true && this.#bytes >= most;
    if (!endStream && !full) return DataAction.StopIterationAndBuffer;
    // Too much where all of it was wanted: the buffer's limit answers.
    if (!full && this.#bytes > this.stream.decode.limit) return DataAction.StopIterationAndBuffer;
    this.#ask(this.#bytes > most);
    return DataAction.StopIterationAndWatermark;
  }

  override decodeTrailers(): number {
    if (this.#state === "buffering") this.#ask(false);
    return this.#state === "asking" ? TrailersAction.StopIteration : TrailersAction.Continue;
  }

  override encodeHeaders(headers: HeaderMap): number {
    for (const each of this.#toClient) change(headers, each);
    return HeadersAction.Continue;
  }

  override destroy(): void {
    this.#state = "done";
    this.#giveUp?.();
  }

  #ask(partial: boolean): void {
    this.#state = "asking";
    const wanted = this.#authorizer.config.with_request_body;
    const body = wanted && Buffer.concat(this.#body).subarray(0, wanted.max_request_bytes);
    this.#body = [];
    const input: CheckInput = { headers: this.#headers, info: this.stream.info, body: body && this.#bytes > 0 ? body : undefined, partial };
    this.#giveUp = this.#authorizer.check(input, (verdict) => this.later(() => this.#decide(verdict)));
  }

  #decide(verdict: Verdict): void {
    if (this.#state !== "asking") return;
    this.#state = "done";
    this.#giveUp = undefined;
    const { failure_mode_allow, status_on_error } = this.#authorizer.config;
    if (verdict.kind === "denied") return this.#refuse(verdict.status, verdict.body, verdict.headers, "ext_authz_denied");
    if (verdict.kind === "error" && !failure_mode_allow) return this.#refuse(verdict.status ?? status_on_error.code, verdict.body ?? new Uint8Array(0), verdict.headers ?? [], "ext_authz_error");
    const { request, remove, response, setParameters, removeParameters } = verdict.kind === "ok" ? verdict : ALLOWED;
    for (const each of request) change(this.#headers, each);
    for (const name of remove) if (!name.startsWith(":") && name !== "host") this.#headers.remove(name);
    let path = this.#headers.get(":path") ?? "/";
    for (const [key, value] of setParameters) path = withParameter(path, key, value);
    for (const key of removeParameters) if (parameters(path).some(([name]) => name === key)) path = withoutParameter(path, key);
    this.#headers.assign(":path", path);
    this.#toClient = response;
    this.stream.decode.resume(this.index);
  }

  #refuse(status: number, body: Uint8Array, headers: string[], details: string): void {
    this.stream.info.responseFlags |= FLAGS.unauthorizedExternalService[0];
    this.stream.sendLocalReply({ status, body, headers, grpcStatus: -1, details });
  }
}

function change(headers: HeaderMap, { name, value, action }: HeaderChange): void {
  const there = headers.get(name);
  if (action === "add") headers.add(name, value);
  else if (action === "set") headers.set(name, value);
  else if (action === "add-if-absent") {
    if (there === undefined) headers.add(name, value);
  } else if (action === "set-if-there") {
    if (there !== undefined) headers.set(name, value);
  } else if (there !== undefined) headers.assign(name, there === "" ? value : `${there},${value}`);
}
