/** Virtual hosts and routes of one listener. */
import { covers, compareHostnames } from "../hostnames.ts";
import { seconds } from "../duration.ts";
import { comparePrecedence, trimPrefix, type Candidate } from "../precedence.ts";
import { combine } from "../resolve/headers.ts";
import type { ArmModel, AttachedRoute, HeaderChanges, ListenerModel, RuleModel, Socket } from "../resolve/model.ts";
import { reachableHosts } from "../resolve/routes.ts";
import type { RouteMatch } from "../schema/httproute.ts";
import type { Config } from "./config.ts";
import { routeMatch } from "./matches.ts";
import { redirectAction, rewritePath } from "./rewrites.ts";

/** Envoy's own default, written out: for the whole exchange, the answer's last byte included. */
const DEFAULT_TIMEOUT = 15_000;

export interface RouteContext {
  socket: Socket;
  /** The cluster of an arm's Backend as this Gateway reaches it. */
  cluster: (backend: ArmModel["backend"]) => string;
  /** Settings of filters for a rule's routes. */
  perRoute?: ((rule: RuleModel) => Config | undefined) | undefined;
}

/** @param listeners those that share one HTTP connection manager: all of an HTTP socket, one of an HTTPS socket. */
export function routeConfiguration(name: string, listeners: ListenerModel[], context: RouteContext): Config {
  const hosts = listeners.flatMap((listener) =>
    reachableHosts(listener, context.socket.listeners).map((host) => ({ listener, host })),
  );
  hosts.sort((a, b) => compareHostnames(a.host, b.host));
  return {
    name,
    // Gateway API: a port in the Host header takes no part in matching, and is forwarded as it came.
    ignore_port_in_host_matching: true,
    virtual_hosts: hosts.map(({ listener, host }) => ({
      name: `${listener.name}/${host}`,
      domains: [host],
      routes: virtualHostRoutes(host, listener.attached, context),
    })),
  };
}

interface Entry extends Candidate {
  model: RuleModel;
}

/** Every rule that can see requests for `host`, the one with precedence first. */
function virtualHostRoutes(host: string, attached: AttachedRoute[], context: RouteContext): Config[] {
  const entries: Entry[] = [];
  for (const { route, hosts } of attached) {
    const own = hosts.filter(({ effective }) => covers(effective, host)).map((each) => each.own).sort(compareHostnames)[0];
    if (own === undefined) continue;
    for (const model of route.rules) {
      model.matches.forEach((match, index) => {
        entries.push({
          hostname: own,
          match,
          created: route.resource.value.metadata.creationTimestamp,
          route: route.resource.id,
          rule: model.index,
          index,
          model,
        });
      });
    }
  }
  entries.sort(comparePrecedence);
  // Nothing gets past a rule that takes every request.
  const last = entries.findIndex(({ match }) => takesAll(match));
  return (last < 0 ? entries : entries.slice(0, last + 1)).flatMap(({ model, match }) => ruleRoutes(model, match, context));
}

function takesAll({ path, method, headers = [], queryParams = [] }: RouteMatch): boolean {
  const anyPath = (path?.type ?? "PathPrefix") === "PathPrefix" && trimPrefix(path?.value ?? "/") === "";
  return anyPath && method === undefined && headers.length === 0 && queryParams.length === 0;
}

/** A rule's routes for one match: one for each arm that the canary filter may choose, then the stable one. */
function ruleRoutes(rule: RuleModel, match: RouteMatch, context: RouteContext): Config[] {
  const { redirect } = rule;
  if (redirect) {
    return [{ name: rule.id, match: routeMatch(match), redirect: redirectAction(redirect, match, context.socket), typed_per_filter_config: context.perRoute?.(rule), ...headerFields(rule.requestHeaders, rule.responseHeaders) }];
  }
  if (rule.status !== undefined) {
    return [{ name: rule.id, match: routeMatch(match), direct_response: { status: rule.status }, typed_per_filter_config: context.perRoute?.(rule), ...headerFields(rule.requestHeaders, rule.responseHeaders) }];
  }
  const [stable, ...others] = rule.arms;
  return [
    ...others.map((arm) => armRoute(`${rule.id}/${arm.name}`, routeMatch(match, arm.name), rule, arm, match, context)),
    ...(stable ? [armRoute(rule.id, routeMatch(match), rule, stable, match, context)] : []),
  ];
}

function armRoute(name: string, envoyMatch: Config, rule: RuleModel, arm: ArmModel, match: RouteMatch, context: RouteContext): Config {
  const websocket = arm.backend.spec.appProtocols?.some((protocol) => protocol.endsWith("/ws"));
  return {
    name,
    match: envoyMatch,
    route: {
      cluster: context.cluster(arm.backend),
      host_rewrite_literal: rule.rewrite?.hostname,
      ...(rule.rewrite?.path ? rewritePath(rule.rewrite.path, match) : {}),
      timeout: seconds(totalTimeout(rule)),
      retry_policy: retryPolicy(rule),
      upgrade_configs: websocket ? [{ upgrade_type: "websocket" }] : undefined,
      request_mirror_policies:
        rule.mirrors.length === 0
          ? undefined
          : rule.mirrors.map(({ backend, perMillion }) => ({
              cluster: context.cluster(backend),
              runtime_fraction: { default_value: { numerator: perMillion, denominator: "MILLION" } },
            })),
    },
    typed_per_filter_config: context.perRoute?.(rule),
    ...headerFields(combine(rule.requestHeaders, arm.requestHeaders), combine(rule.responseHeaders, arm.responseHeaders)),
  };
}

/** Without retries there is one try, so its limit is the total's. */
function totalTimeout(rule: RuleModel): number {
  const request = rule.requestTimeout ?? DEFAULT_TIMEOUT;
  const backend = rule.backendTimeout;
  if (rule.retry || backend === undefined || backend === 0) return rule.requestTimeout ?? (backend === 0 ? 0 : request);
  // A time limit for the one try that is longer than Envoy's default was meant to hold.
  return rule.requestTimeout === undefined || request === 0 ? backend : Math.min(request, backend);
}

/** Gateway API: with `retry`, connection errors are retried besides the codes listed. */
function retryPolicy({ retry, backendTimeout }: RuleModel): Config | undefined {
  if (!retry) return undefined;
  const { codes, attempts, backoff } = retry;
  return {
    retry_on: ["connect-failure", "refused-stream", "reset", ...(codes.length > 0 ? ["retriable-status-codes"] : [])].join(","),
    num_retries: attempts,
    retriable_status_codes: codes.length > 0 ? codes : undefined,
    per_try_timeout: backendTimeout ? seconds(backendTimeout) : undefined,
    retry_back_off: backoff === undefined ? undefined : { base_interval: seconds(backoff), max_interval: seconds(backoff * 10) },
  };
}

function headerFields(request: HeaderChanges, response: HeaderChanges): Config {
  return {
    request_headers_to_add: additions(request),
    request_headers_to_remove: request.remove.length > 0 ? request.remove : undefined,
    response_headers_to_add: additions(response),
    response_headers_to_remove: response.remove.length > 0 ? response.remove : undefined,
  };
}

function additions({ values }: HeaderChanges): Config[] | undefined {
  if (values.length === 0) return undefined;
  return values.map(({ name, value, append }) => ({
    // Envoy expands %COMMANDS% in values; a policy's value is literal.
    header: { key: name, value: value.replaceAll("%", "%%") },
    append_action: append ? "APPEND_IF_EXISTS_OR_ADD" : "OVERWRITE_IF_EXISTS_OR_ADD",
  }));
}
