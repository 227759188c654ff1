/** Which certificates a demo needs, and for whom: from the policies' own references. Reads no certificate. */
import { isIP } from "node:net";
import { dirname, join, relative, resolve, sep } from "node:path";
import { DIRECTORY, ofKind, type Policies, type Resource } from "../compose/index.ts";
import type { Report } from "../compose/report.ts";
import type { GatewayModel, Model } from "../compose/resolve/model.ts";
import type { Scenario } from "./model.ts";
import type { Subject } from "./x509.ts";

export interface PlannedCertificate {
  directory: string;
  /** Absent: the directory only gets the authority's ca.crt. */
  subject?: Subject;
}

export interface CertificatePlan {
  trustDomain: string;
  /** Holds the authority's certificate and key. */
  authority: string;
  /** Each directory once. */
  certificates: PlannedCertificate[];
}

/** @param file the Scenario's; the authority lives beside it, in certs/ca */
export function planCertificates(
  policies: Policies,
  model: Pick<Model, "gateways">,
  scenario: Pick<Scenario, "file" | "trustDomain" | "workloads" | "target" | "traffic">,
  report: Report,
): CertificatePlan {
  const byDirectory = new Map<string, PlannedCertificate>();
  const add = (planned: PlannedCertificate): void => {
    const key = resolve(planned.directory);
    // A directory may serve as Secret and as bundle; the one with a subject says more.
    if (!byDirectory.get(key)?.subject) byDirectory.set(key, planned);
  };
  for (const carrier of [...ofKind(policies, "Secret"), ...ofKind(policies, "ConfigMap")]) {
    const named = carrier.annotations[DIRECTORY];
    if (named === undefined) continue;
    const directory = join(dirname(carrier.source.file), named);
    if (!isBelow(policies.dir, directory)) {
      report.error("certificate-outside", carrier, ["metadata", "annotations", DIRECTORY], "demo certificates are only made inside the folder of the Scenario", { found: directory, expected: `a directory below ${policies.dir}` });
      continue;
    }
    const subject = carrier.kind === "Secret" ? secretSubject(carrier as Resource<"Secret">, model.gateways, scenario) : undefined;
    add({ directory, ...(subject && { subject }) });
  }
  for (const { name, spiffeId, directory } of scenario.workloads) {
    if (!isBelow(policies.dir, directory)) {
      report.add({ code: "certificate-outside", severity: "error", message: "demo certificates are only made inside the folder of the Scenario", where: { file: scenario.file }, found: directory, expected: `a directory below ${policies.dir}` });
      continue;
    }
    const planned = byDirectory.get(resolve(directory));
    if (planned?.subject) report.add({ code: "certificate-shared", severity: "error", message: `workload ${name} would share its certificate with a Secret`, where: { file: scenario.file }, found: directory, fix: "give one of them another directory" });
    add({ directory, subject: { commonName: name, spiffeId } });
  }
  const authority = join(dirname(scenario.file), "certs", "ca");
  const clash = byDirectory.get(resolve(authority));
  if (clash?.subject) report.add({ code: "certificate-shared", severity: "error", message: "the demo authority would share its directory with another certificate", where: { file: scenario.file }, found: authority, fix: "give the other one another directory" });
  byDirectory.delete(resolve(authority));
  return { trustDomain: scenario.trustDomain, authority, certificates: [...byDirectory.values()] };
}

/** Whom a Secret's certificate is for: the Gateways that refer to it, as servers and as clients. */
function secretSubject(secret: Resource<"Secret">, gateways: GatewayModel[], scenario: Pick<Scenario, "trustDomain" | "target" | "traffic">): Subject | undefined {
  const refersTo = (gateway: GatewayModel, ref: { kind?: string; name: string; namespace?: string } | undefined): boolean =>
    ref !== undefined && (ref.kind ?? "Secret") === "Secret" && `${ref.namespace ?? gateway.resource.namespace}/${ref.name}` === secret.id;
  const dnsNames = new Set<string>();
  const ipAddresses = new Set<string>();
  let owner: GatewayModel | undefined;
  for (const gateway of gateways) {
    const { spec } = gateway.resource;
    if (refersTo(gateway, spec.tls?.backend?.clientCertificateRef)) owner ??= gateway;
    for (const listener of spec.listeners) {
      if (!listener.tls?.certificateRefs.some((ref) => refersTo(gateway, ref))) continue;
      owner ??= gateway;
      const socket = gateway.sockets.find(({ port }) => port === listener.port);
      const attached = socket?.listeners.find(({ name }) => name === listener.name)?.attached ?? [];
      const hosts = [listener.hostname ?? "*", ...attached.flatMap(({ hosts }) => hosts.map(({ effective }) => effective))];
      // Routes without a host name take any: those that the traffic asks for have to be in the certificate.
      if (listener.port === scenario.target.port) hosts.push(...scenario.traffic.map(({ host }) => host).filter((host) => isIP(host) === 0));
      for (const host of hosts) if (host !== "*") dnsNames.add(host);
      for (const address of socket?.addresses ?? []) if (!/^(0\.0\.0\.0|::)$/.test(address)) ipAddresses.add(address);
      // What a person on the node types.
      dnsNames.add("localhost");
      for (const address of ["127.0.0.1", "::1"]) ipAddresses.add(address);
    }
  }
  if (!owner && secret.value.type !== "kubernetes.io/tls") return undefined;
  const [namespace, name] = owner ? [owner.resource.namespace, owner.resource.name] : [secret.namespace, secret.name];
  return {
    commonName: name,
    spiffeId: `spiffe://${scenario.trustDomain}/ns/${namespace}/sa/${name}`,
    dnsNames: [...dnsNames].sort(),
    ipAddresses: [...ipAddresses].sort(),
  };
}

function isBelow(dir: string, path: string): boolean {
  const local = relative(resolve(dir), resolve(path));
  return local !== "" && local !== ".." && !local.startsWith(`..${sep}`);
}
