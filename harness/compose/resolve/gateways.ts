/** Gateways become sockets: listeners on one port are merged where host names tell them apart, else refused. */
import { isIP } from "node:net";
import type { Resource } from "../load.ts";
import type { Report } from "../report.ts";
import type { GatewayListener, GatewaySpec } from "../schema/gateway.ts";
import { BACKEND_GROUP, GATEWAY_GROUP } from "../schema/kinds.ts";
import type { Path } from "../source.ts";
import type { Certificates } from "./certificates.ts";
import { speaksHttp, type GatewayModel, type ListenerModel, type ListenerTls, type Pem, type Socket } from "./model.ts";

export const GATEWAY_NAME_LABEL = "gateway.networking.k8s.io/gateway-name";

export interface Occupied {
  address: string;
  port: number;
  by: string;
}

export function resolveGateway(gateway: Resource<"Gateway">, certificates: Certificates, report: Report): GatewayModel {
  const { spec } = gateway;
  const addresses = listenAddresses(gateway, report);
  const names = new Set<string>();
  const sockets = new Map<number, Socket>();
  spec.listeners.forEach((listener, i) => {
    const path: Path = ["spec", "listeners", i];
    if (names.has(listener.name)) {
      report.error("listener-conflict", gateway, [...path, "name"], `two listeners of this Gateway are named ${listener.name}`);
    }
    names.add(listener.name);
    const tls = listenerTls(gateway, listener, path, certificates, report);
    checkAllowedKinds(gateway, listener, path, report);
    const model: ListenerModel = { name: listener.name, hostname: listener.hostname ?? "*", attached: [], ...(tls ? { tls } : {}) };
    const socket = sockets.get(listener.port);
    if (!socket) {
      const name = `${gateway.id}/${listener.port}`;
      sockets.set(listener.port, { name, addresses, port: listener.port, protocol: listener.protocol, listeners: [model] });
      return;
    }
    join(gateway, socket, listener, model, path, report);
  });
  const clientRef = spec.tls?.backend?.clientCertificateRef;
  const clientCertificate = clientRef && certificates.keyPair(gateway, ["spec", "tls", "backend", "clientCertificateRef"], clientRef);
  return {
    resource: gateway,
    labels: { ...gateway.labels, ...spec.infrastructure?.labels, [GATEWAY_NAME_LABEL]: gateway.name },
    sockets: [...sockets.values()].sort((a, b) => a.port - b.port),
    ...(clientCertificate ? { clientCertificate } : {}),
    metrics: true,
    accessLog: false,
    accessLogHeaders: [],
  };
}

/** Adds a listener to a port that another one has: possible when both speak the same and their hosts differ. */
function join(
  gateway: Resource<"Gateway">,
  socket: Socket,
  listener: GatewayListener,
  model: ListenerModel,
  path: Path,
  report: Report,
): void {
  const conflict = (other: string, why: string, field: string): void =>
    report.error("listener-conflict", gateway, [...path, field], `two listeners on one port: ${listener.name} and ${other} both take ${listener.port} ${why}`, {
      fix: "give one of them another port, or each its own hostname",
    });
  if (listener.protocol !== socket.protocol) {
    conflict(socket.listeners[0]!.name, `with different protocols (${listener.protocol}, ${socket.protocol})`, "protocol");
    return;
  }
  const same = socket.listeners.find((each) => each.hostname === model.hostname);
  if (same) {
    conflict(same.name, model.hostname === "*" ? "without a hostname" : `for ${model.hostname}`, "port");
    return;
  }
  socket.listeners.push(model);
}

/** Every Gateway needs its own address and port on a node; a wildcard address takes them all. */
export function refusePortClashes(gateways: GatewayModel[], occupied: Occupied[], report: Report): void {
  const taken = [...occupied];
  for (const gateway of gateways) {
    const mine: Occupied[] = [];
    for (const socket of gateway.sockets) {
      const index = gateway.resource.spec.listeners.findIndex((each) => each.port === socket.port);
      for (const address of socket.addresses) {
        const clash = taken.find((other) => other.port === socket.port && overlap(other.address, address));
        if (clash) {
          report.error("listener-conflict", gateway.resource, ["spec", "listeners", index, "port"], `two listeners on one port: ${address}:${socket.port} is taken by ${clash.by}`, {
            fix: "change the port, or bind both to different addresses (spec.addresses)",
          });
        }
        mine.push({ address, port: socket.port, by: `Gateway ${gateway.resource.id}` });
      }
    }
    taken.push(...mine);
  }
}

function overlap(a: string, b: string): boolean {
  const any = (address: string): boolean => address === "0.0.0.0" || address === "::";
  return a === b || any(a) || any(b);
}

function listenAddresses(gateway: Resource<"Gateway">, report: Report): string[] {
  const listed = gateway.spec.addresses ?? [];
  const addresses = listed.flatMap(({ value }, i) => {
    if (isIP(value) !== 0) return [value];
    report.error("wrong-value", gateway, ["spec", "addresses", i, "value"], "this is no IP address to listen on", { found: value });
    return [];
  });
  return addresses.length > 0 ? [...new Set(addresses)] : ["0.0.0.0"];
}

function listenerTls(
  gateway: Resource<"Gateway">,
  listener: GatewayListener,
  path: Path,
  certificates: Certificates,
  report: Report,
): ListenerTls | undefined {
  const { protocol } = listener;
  if (protocol === "TCP" && listener.hostname !== undefined) {
    report.error("wrong-value", gateway, [...path, "hostname"], "a TCP listener takes no hostname: nothing tells it", { fix: "use protocol: TLS", part: "key" });
  }
  if (protocol === "HTTP" || protocol === "TCP") {
    if (listener.tls) report.error("wrong-value", gateway, [...path, "tls"], `${protocol === "HTTP" ? "an HTTP" : "a TCP"} listener takes no tls`, { fix: `use protocol: ${protocol === "HTTP" ? "HTTPS" : "TLS"}`, part: "key" });
    return undefined;
  }
  if (!listener.tls) {
    report.error("missing-field", gateway, path, `the ${protocol} listener ${listener.name} lacks the field \`tls\``, { expected: "tls.certificateRefs" });
    return undefined;
  }
  const pairs = listener.tls.certificateRefs.flatMap(
    (ref, i) => certificates.keyPair(gateway, [...path, "tls", "certificateRefs", i], ref) ?? [],
  );
  const [refs, where] = clientValidation(gateway.spec, listener, path);
  const authorities: Pem[] = refs.flatMap((ref, i) => certificates.authority(gateway, [...where, i], ref) ?? []);
  return { certificates: pairs, clientAuthorities: authorities };
}

/** A listener's own (older) setting comes first, then the port's, then the Gateway's. */
function clientValidation(spec: GatewaySpec, listener: GatewayListener, path: Path) {
  const own = listener.tls?.frontendValidation;
  if (own) return [own.caCertificateRefs, [...path, "tls", "frontendValidation", "caCertificateRefs"]] as const;
  const frontend = spec.tls?.frontend;
  const base: Path = ["spec", "tls", "frontend"];
  const port = frontend?.perPort?.findIndex((each) => each.port === listener.port) ?? -1;
  if (port >= 0) {
    const refs = frontend!.perPort![port]!.tls.validation?.caCertificateRefs ?? [];
    return [refs, [...base, "perPort", port, "tls", "validation", "caCertificateRefs"]] as const;
  }
  return [frontend?.default.validation?.caCertificateRefs ?? [], [...base, "default", "validation", "caCertificateRefs"]] as const;
}

function checkAllowedKinds(gateway: Resource<"Gateway">, listener: GatewayListener, path: Path, report: Report): void {
  const route = speaksHttp(listener.protocol) ? "HTTPRoute" : "TCPRoute";
  (listener.allowedRoutes?.kinds ?? []).forEach(({ kind, group }, i) => {
    if (kind !== route || (group ?? GATEWAY_GROUP) !== GATEWAY_GROUP) {
      report.error("reference-unsupported", gateway, [...path, "allowedRoutes", "kinds", i], `only ${route}s attach to a listener with protocol ${listener.protocol}`, {
        found: `${group ?? GATEWAY_GROUP}/${kind}`,
        expected: `kind: ${route}`,
        ...(group === BACKEND_GROUP ? { fix: "remove the group" } : {}),
      });
    }
  });
}
