/** Backends: their endpoints, the references to them, and the TLS that a BackendTLSPolicy puts in front. */
import { isIP } from "node:net";
import { existsSync } from "node:fs";
import type { Resource } from "../load.ts";
import { nearest } from "../nearest.ts";
import type { Report } from "../report.ts";
import { BACKEND_GROUP } from "../schema/kinds.ts";
import type { Path } from "../source.ts";
import type { Certificates } from "./certificates.ts";
import type { Pem, UpstreamTls } from "./model.ts";

export interface BackendReference {
  group?: string;
  kind?: string;
  name: string;
  namespace?: string;
  port?: number;
}

export class Backends {
  readonly #byId: Map<string, Resource<"Backend">>;
  readonly #report: Report;

  constructor(backends: Resource<"Backend">[], report: Report) {
    this.#byId = new Map(backends.map((each) => [each.id, each]));
    this.#report = report;
    for (const backend of backends) this.#checkEndpoints(backend);
  }

  get(id: string): Resource<"Backend"> | undefined {
    return this.#byId.get(id);
  }

  /** The Backend that a reference names; reports what it names instead. */
  resolve(from: Resource, path: Path, ref: BackendReference): Resource<"Backend"> | undefined {
    const kind = ref.kind ?? "Service";
    const group = ref.group ?? "";
    if (kind !== "Backend" || group !== BACKEND_GROUP) {
      this.#report.error("reference-unsupported", from, path, "a route leads to a Backend: there are no Services on a single node", {
        found: `group: "${group}", kind: ${kind}`,
        expected: `group: ${BACKEND_GROUP}, kind: Backend`,
      });
      return undefined;
    }
    const namespace = ref.namespace ?? from.namespace;
    if (namespace !== from.namespace) {
      this.#report.error("cross-namespace-reference", from, [...path, "namespace"], `Backend ${namespace}/${ref.name} is in another namespace, which would need a ReferenceGrant`, {
        fix: `put the route into namespace ${namespace}, or the Backend into ${from.namespace}: ReferenceGrants are not supported`,
      });
      return undefined;
    }
    if (ref.port !== undefined) {
      this.#report.error("unsupported-field", from, [...path, "port"], "a reference to a Backend takes no port: its endpoints have them", { fix: "remove it", part: "key" });
    }
    const backend = this.#byId.get(`${namespace}/${ref.name}`);
    if (!backend) {
      const names = [...this.#byId.values()].filter((each) => each.namespace === namespace).map((each) => each.name);
      const close = nearest(ref.name, names);
      this.#report.error("route-backend-missing", from, [...path, "name"], `there is no Backend ${namespace}/${ref.name}`, {
        expected: names.length > 0 ? `one of ${names.sort().join(", ")}` : `a Backend in namespace ${namespace}`,
        ...(close ? { fix: `did you mean ${close}?` } : {}),
      });
    }
    return backend;
  }

  #checkEndpoints(backend: Resource<"Backend">): void {
    backend.spec.endpoints.forEach((endpoint, i) => {
      const path: Path = ["spec", "endpoints", i];
      const given = [endpoint.ip, endpoint.fqdn].filter((each) => each !== undefined).length;
      if (given !== 1) {
        this.#report.error("wrong-value", backend, path, "an endpoint has exactly one of ip and fqdn", { found: given === 0 ? "none" : "both" });
      } else if (endpoint.ip && isIP(endpoint.ip.address) === 0) {
        this.#report.error("wrong-value", backend, [...path, "ip", "address"], "this is no IP address", {
          found: endpoint.ip.address,
          expected: "an IPv4 or IPv6 address; for a name use fqdn",
        });
      } else if (endpoint.fqdn && isIP(endpoint.fqdn.hostname) !== 0) {
        this.#report.error("wrong-value", backend, [...path, "fqdn", "hostname"], "this is an IP address, no name", { found: endpoint.fqdn.hostname, fix: "use ip: { address, port }" });
      }
    });
    const protocols = backend.spec.appProtocols ?? [];
    const secure = protocols.findIndex((protocol) => protocol.endsWith("/wss"));
    if (secure >= 0) {
      this.#report.error("unsupported-field", backend, ["spec", "appProtocols", secure], "TLS to a Backend is set by a BackendTLSPolicy, not by wss", { fix: "use ws and a BackendTLSPolicy" });
    }
    if (protocols.some((each) => each.endsWith("/h2c")) && protocols.some((each) => each.endsWith("/ws"))) {
      this.#report.error("wrong-value", backend, ["spec", "appProtocols"], "h2c and ws exclude each other: WebSocket needs HTTP/1.1");
    }
  }
}

/** Where common systems keep the authorities that they trust; the first that exists is taken. */
const SYSTEM_AUTHORITIES = [
  "/etc/ssl/certs/ca-certificates.crt",
  "/etc/pki/tls/certs/ca-bundle.crt",
  "/etc/ssl/ca-bundle.pem",
  "/etc/ssl/cert.pem",
];

export interface UpstreamTlsOptions {
  /** PEM bundle for wellKnownCACertificates: System. */
  systemAuthorities?: string;
}

export function systemAuthorities(options: UpstreamTlsOptions): string | undefined {
  return options.systemAuthorities ?? SYSTEM_AUTHORITIES.find((each) => existsSync(each));
}

/** By Backend id. Two policies for one Backend are refused: upstream the older wins, which files can't tell. */
export function resolveUpstreamTls(
  policies: Resource<"BackendTLSPolicy">[],
  backends: Backends,
  certificates: Certificates,
  options: UpstreamTlsOptions,
  report: Report,
): Map<string, UpstreamTls> {
  const result = new Map<string, UpstreamTls>();
  const owner = new Map<string, string>();
  for (const policy of policies) {
    const tls = upstreamTls(policy, certificates, options, report);
    policy.spec.targetRefs.forEach((ref, i) => {
      const path: Path = ["spec", "targetRefs", i];
      const backend = backends.resolve(policy, path, ref);
      if (!backend) return;
      const other = owner.get(backend.id);
      if (other !== undefined) {
        report.error("policy-conflict", policy, path, `Backend ${backend.id} has TLS settings already, from BackendTLSPolicy ${other}`, { fix: "keep one of the two" });
        return;
      }
      owner.set(backend.id, policy.id);
      if (tls) result.set(backend.id, tls);
    });
  }
  return result;
}

function upstreamTls(
  policy: Resource<"BackendTLSPolicy">,
  certificates: Certificates,
  options: UpstreamTlsOptions,
  report: Report,
): UpstreamTls | undefined {
  const { validation } = policy.spec;
  const base: Path = ["spec", "validation"];
  const refs = validation.caCertificateRefs ?? [];
  const system = validation.wellKnownCACertificates !== undefined;
  if ((refs.length > 0) === system) {
    report.error("wrong-value", policy, base, "give exactly one of caCertificateRefs and wellKnownCACertificates", { found: system ? "both" : "neither", part: "key" });
    return undefined;
  }
  let authorities: Pem[] = [];
  if (system) {
    const file = systemAuthorities(options);
    if (file === undefined) {
      report.error("certificate-missing", policy, [...base, "wellKnownCACertificates"], "this system's trusted authorities were not found", {
        expected: `one of ${SYSTEM_AUTHORITIES.join(", ")}`,
        fix: "name them in a ConfigMap and use caCertificateRefs",
      });
      return undefined;
    }
    authorities = [{ file }];
  } else {
    authorities = refs.flatMap((ref, i) => certificates.authority(policy, [...base, "caCertificateRefs", i], ref) ?? []);
    if (authorities.length === 0) return undefined;
  }
  const subjectAltNames = (validation.subjectAltNames ?? []).flatMap((name, i): UpstreamTls["subjectAltNames"] => {
    const value = name.type === "URI" ? name.uri : name.hostname;
    const other = name.type === "URI" ? name.hostname : name.uri;
    if (value === undefined || other !== undefined) {
      report.error("wrong-value", policy, [...base, "subjectAltNames", i], `type ${name.type} goes with \`${name.type === "URI" ? "uri" : "hostname"}\` alone`);
      return [];
    }
    return [{ type: name.type === "URI" ? "URI" : "DNS", value }];
  });
  return { sni: validation.hostname, authorities, subjectAltNames };
}
