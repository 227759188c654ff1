/** RequestAuthentications: whose tokens are taken, by which keys, and for which destinations. */
import { isIP } from "node:net";
import { jwksProblem } from "../check/jwks.ts";
import { parseDuration } from "../duration.ts";
import type { Resource } from "../load.ts";
import type { Report } from "../report.ts";
import type { JwtRule } from "../schema/request-authentication.ts";
import type { Path } from "../source.ts";
import { armSubject, attaches, attachesToGateway } from "./attachment.ts";
import { systemAuthorities, type UpstreamTlsOptions } from "./backends.ts";
import type { Authentication, GatewayModel, JwtProvider, RuleModel, UpstreamTls } from "./model.ts";

const DEFAULT_TIMEOUT = 5_000;

export function resolveAuthentications(resources: Resource<"RequestAuthentication">[], options: UpstreamTlsOptions, report: Report): Authentication[] {
  return [...resources]
    .sort((a, b) => (a.id < b.id ? -1 : 1))
    .map((resource) => {
      const rules = resource.spec.jwtRules ?? [];
      if (rules.length === 0) {
        report.warn("authentication-empty", resource, ["spec"], "no jwtRules: no token is looked at, and none refused", { part: "key" });
      }
      return { resource, providers: rules.map((rule, i) => provider(resource, rule, i, options, report)) };
    });
}

function provider(resource: Resource<"RequestAuthentication">, rule: JwtRule, i: number, options: UpstreamTlsOptions, report: Report): JwtProvider {
  const base: Path = ["spec", "jwtRules", i];
  const { jwks, jwksUri, timeout } = rule;
  const result: JwtProvider = { name: `${resource.id}/${i}`, rule };
  if ((jwks === undefined) === (jwksUri === undefined)) {
    report.error("authentication-keys", resource, base, jwks === undefined ? "neither jwks nor jwksUri: the keys are not looked up by the issuer's name" : "jwks and jwksUri exclude each other", {
      fix: jwks === undefined ? "give jwks, the issuer's public keys as text, or jwksUri" : "keep one of the two; with jwks the node needs no network to start",
      part: "key",
    });
  }
  const problem = jwks === undefined ? undefined : jwksProblem(jwks);
  if (problem !== undefined) report.error("authentication-keys", resource, [...base, "jwks"], problem);
  for (const { header } of rule.outputClaimToHeaders ?? []) refuseHeader(header, ["outputClaimToHeaders"]);
  if (rule.outputPayloadToHeader !== undefined) refuseHeader(rule.outputPayloadToHeader, ["outputPayloadToHeader"]);
  if (jwksUri !== undefined) {
    const remote = remoteKeys(resource, jwksUri, [...base, "jwksUri"], options, report);
    if (remote) result.remote = { ...remote, timeout: timeout === undefined ? DEFAULT_TIMEOUT : parseDuration(timeout) };
  }
  return result;

  function refuseHeader(name: string, path: Path): void {
    if (name.startsWith(":") || ["host", "connection", "transfer-encoding", "content-length"].includes(name.toLowerCase())) {
      report.error("wrong-value", resource, [...base, ...path], `${name} can't carry a claim`, { part: "key" });
    }
  }
}

type Remote = Omit<NonNullable<JwtProvider["remote"]>, "timeout">;

/** Keys decide who is who: they come over verified TLS, or from this very node. */
function remoteKeys(resource: Resource, text: string, path: Path, options: UpstreamTlsOptions, report: Report): Remote | undefined {
  let url: URL;
  try {
    url = new URL(text);
  } catch {
    report.error("wrong-value", resource, path, "this is no URL", { found: text, expected: "https://<host>/<path>" });
    return undefined;
  }
  const host = url.hostname.replace(/^\[(.*)\]$/, "$1");
  const local = host === "127.0.0.1" || host === "::1";
  const secure = url.protocol === "https:";
  if (url.username !== "" || url.password !== "" || url.hash !== "" || !(secure || (url.protocol === "http:" && local)) || (secure && isIP(host) !== 0)) {
    report.error("wrong-value", resource, path, "keys are fetched over verified TLS from a host name, or over plain HTTP from this node alone", {
      found: text,
      expected: "https://<host name>/<path>, without user, password and fragment",
    });
    return undefined;
  }
  report.warn("authentication-remote-keys", resource, path, "until these keys are fetched, every request with a token is answered 401: a node that starts offline stays so", {
    fix: "give the keys as text, in jwks; once fetched, keys are kept while the node is offline",
  });
  const port = url.port === "" ? (secure ? 443 : 80) : Number(url.port);
  if (!secure) return { uri: url.href, host, port };
  const file = systemAuthorities(options);
  if (file === undefined) {
    report.error("certificate-missing", resource, path, "this system's trusted authorities were not found, to verify the host that has the keys", { fix: "give the keys as text, in jwks" });
    return undefined;
  }
  const tls: UpstreamTls = { sni: host, authorities: [{ file }], subjectAltNames: [] };
  return { uri: url.href, host, port, tls };
}

/** Those that hold for requests of this rule; all arms of it are in the same position, or it is refused before. */
export function authenticationsOf(rule: RuleModel, all: Authentication[], rootNamespace: string): Authentication[] {
  const [arm] = rule.arms;
  if (!arm) return [];
  return all.filter(({ resource }) => attaches(resource, armSubject(rule, arm), rootNamespace));
}

export function authenticationsOfGateway(gateway: GatewayModel, all: Authentication[], rootNamespace: string): Authentication[] {
  return all.filter(({ resource }) => attachesToGateway(resource, gateway, rootNamespace));
}
