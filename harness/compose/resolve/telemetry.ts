/** Telemetry resources: metrics on or off and the access log, for each Gateway, the most specific resource first. */
import type { Resource } from "../load.ts";
import type { Report } from "../report.ts";
import type { Path } from "../source.ts";
import { attaches, checkTargets, gatewaySubject, targetNames } from "./attachment.ts";
import type { GatewayModel } from "./model.ts";

const METRICS_PROVIDER = "prometheus";
const LOG_PROVIDER = "envoy";

export function resolveTelemetry(resources: Resource<"Telemetry">[], gateways: GatewayModel[], rootNamespace: string, report: Report): void {
  const settings = new Map(resources.map((each) => [each, read(each, report)]));
  for (const telemetry of resources) {
    checkTargets(telemetry, ["Gateway"], (target) => gateways.some((each) => target === `Gateway ${each.resource.id}`), report);
    if (!gateways.some((gateway) => attaches(telemetry, gatewaySubject(gateway), rootNamespace))) {
      report.warn("policy-unattached", telemetry, ["metadata", "name"], `Telemetry ${telemetry.id} attaches to no Gateway, so it has no effect`, {
        fix: `put it into the Gateway's namespace, or into ${rootNamespace} for all`,
      });
    }
  }
  for (const gateway of gateways) {
    const mine = resources.filter((each) => attaches(each, gatewaySubject(gateway), rootNamespace));
    for (const section of ["metrics", "accessLog"] as const) {
      const saying = mine.filter((each) => settings.get(each)![section] !== undefined);
      const best = Math.max(...saying.map((each) => specificity(each, rootNamespace)));
      const winners = saying.filter((each) => specificity(each, rootNamespace) === best);
      if (winners.length > 1) {
        report.error("policy-conflict", winners[1]!, ["metadata", "name"], `Telemetry ${winners[0]!.id} and ${winners[1]!.id} both set ${section === "metrics" ? "metrics" : "accessLogging"} for Gateway ${gateway.resource.id}`, { fix: "keep one of the two" });
      }
      const winner = winners[0];
      if (!winner) continue;
      gateway[section] = settings.get(winner)![section]!;
      if (section === "accessLog") gateway.accessLogHeaders = settings.get(winner)!.headers;
    }
  }
}

/** Root namespace < namespace < selector or target. */
function specificity(telemetry: Resource<"Telemetry">, rootNamespace: string): number {
  const { selector } = telemetry.spec;
  if (targetNames(telemetry) || Object.keys(selector?.matchLabels ?? {}).length > 0) return 2;
  return telemetry.namespace === rootNamespace ? 0 : 1;
}

interface Settings {
  metrics?: boolean;
  accessLog?: boolean;
  headers: string[];
}

function read(telemetry: Resource<"Telemetry">, report: Report): Settings {
  const result: Settings = { headers: loggedHeaders(telemetry, report) };
  telemetry.spec.metrics?.forEach((metrics, i) => {
    const path: Path = ["spec", "metrics", i];
    checkProviders(metrics.providers, METRICS_PROVIDER, telemetry, path, report);
    result.metrics ??= true;
    metrics.overrides?.forEach((override, j) => {
      const at: Path = [...path, "overrides", j];
      if ((override.match?.metric ?? "ALL_METRICS") !== "ALL_METRICS") {
        report.error("unsupported-field", telemetry, [...at, "match", "metric"], "metrics are turned on or off together", { expected: "ALL_METRICS" });
      } else if (override.match?.mode !== undefined && override.match.mode !== "CLIENT_AND_SERVER") {
        report.error("unsupported-field", telemetry, [...at, "match", "mode"], "one node has one side", { expected: "CLIENT_AND_SERVER" });
      } else if (override.disabled !== undefined) result.metrics = !override.disabled;
    });
  });
  telemetry.spec.accessLogging?.forEach((logging, i) => {
    checkProviders(logging.providers, LOG_PROVIDER, telemetry, ["spec", "accessLogging", i], report);
    result.accessLog = logging.disabled !== true;
  });
  return result;
}

/** Names the request headers that the access log has; none unless said. */
export const LOG_HEADERS = "selvedge.dev/access-log-headers";

/** What such headers usually carry must not lie in a log. */
const SECRET = /auth|cookie|token|secret|passw|credential|session|api-?key|csrf|xsrf|jwt|signature/i;

function loggedHeaders(telemetry: Resource<"Telemetry">, report: Report): string[] {
  const text = telemetry.annotations[LOG_HEADERS];
  if (text === undefined) return [];
  const path: Path = ["metadata", "annotations", LOG_HEADERS];
  const names = text.split(",").map((name) => name.trim().toLowerCase());
  for (const name of names) {
    if (!/^[a-z0-9!#$&'*+.^|~-]+$/.test(name)) report.error("wrong-value", telemetry, path, "this is no list of header names", { found: JSON.stringify(name), expected: "names with commas between, such as x-purpose, x-region" });
    else if (SECRET.test(name)) report.error("access-log-secret", telemetry, path, `the header ${name} may carry a credential, which must not be logged`, { fix: "leave it out: policies can be explained and replayed without it" });
  }
  return [...new Set(names)];
}

function checkProviders(providers: { name: string }[] | undefined, known: string, telemetry: Resource<"Telemetry">, path: Path, report: Report): void {
  (providers ?? []).forEach(({ name }, i) => {
    if (name !== known) {
      report.error("unsupported-field", telemetry, [...path, "providers", i, "name"], `there is no provider ${name} here`, { expected: known });
    }
  });
}
