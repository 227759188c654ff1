/** An authorizer that speaks HTTP: it gets the request without its body, and its status is the verdict. */
import { HeaderMap } from "../../host/index.ts";
import { toByteString } from "../../host/bytes.ts";
import { milliseconds } from "../schema/common.ts";
import type { ExtAuthzConfig, NamePatterns } from "../schema/ext-authz.ts";
import type { Cluster } from "../upstream/cluster.ts";
import { sendMessage, type Message } from "../upstream/message.ts";
import { headersByName, named, type CheckInput, type HeaderChange, type Verdict } from "./check.ts";

/** Shown in any case. */
const SHOWN = new Set(["authorization", ":method", ":path", ":authority"]);
/** Told to a client in any case, where others are named. */
const TOLD = new Set(["www-authenticate", "location"]);
const MOST_BYTES = 1024 * 1024;

export function checkHttp(cluster: Cluster, config: ExtAuthzConfig, input: CheckInput, done: (verdict: Verdict) => void): () => void {
  const { server_uri, path_prefix = "", authorization_request } = config.http_service!;
  const headers = HeaderMap.empty("request");
  for (const [name, value] of headersByName(input)) {
    if (!SHOWN.has(name) && name !== "x-envoy-auth-partial-body" && !named(config.allowed_headers, name)) continue;
    if (name !== "content-length") headers.add(name, name === ":path" ? path_prefix + value : value);
  }
  for (const { key, value } of authorization_request?.headers_to_add ?? []) headers.set(key.toLowerCase(), toByteString(value));
  const body = input.body && input.body.length > 0 ? input.body : undefined;
  headers.set("content-length", String(body?.length ?? 0));
  return sendMessage(cluster, headers, { timeoutMs: milliseconds(server_uri.timeout), mostBytes: MOST_BYTES, ...(body && { body }) }, (answer) => done(verdictOf(answer, config)));
}

function verdictOf(answer: Message | undefined, config: ExtAuthzConfig): Verdict {
  const status = Number(answer?.headers.get(":status"));
  if (answer === undefined || !(status < 500)) return { kind: "error" };
  const { allowed_upstream_headers, allowed_client_headers, allowed_client_headers_on_success } = config.http_service!.authorization_response ?? {};
  const pairs: [string, string][] = [];
  for (let i = 0; i < answer.headers.entries.length; i += 2) {
    const name = answer.headers.entries[i]!;
    if (!name.startsWith(":")) pairs.push([name, answer.headers.entries[i + 1]!]);
  }
  if (status === 200) {
    const changes = (patterns: NamePatterns | undefined, action: HeaderChange["action"]): HeaderChange[] => pairs.filter(([name]) => named(patterns, name)).map(([name, value]) => ({ name, value, action }));
    const remove = pairs.filter(([name]) => name === "x-envoy-auth-headers-to-remove").flatMap(([, value]) => value.split(",").map((each) => each.trim().toLowerCase()));
    return { kind: "ok", request: changes(allowed_upstream_headers, "set"), remove, response: changes(allowed_client_headers_on_success, "add"), setParameters: [], removeParameters: [] };
  }
  const told = pairs.filter(([name]) => name !== "content-length" && name !== "host" && (allowed_client_headers === undefined || TOLD.has(name) || named(allowed_client_headers, name)));
  return { kind: "denied", status, body: answer.body, headers: told.flat() };
}
