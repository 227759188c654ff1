/** What the policies mean together: the input of emission. Plain data; references are resolved, defaults filled in. */
import type { Resource } from "../load.ts";
import type { GrpcProvider, HttpProvider } from "../schema/provider.ts";
import type { StickyKey } from "../schema/canary.ts";
import type { JwtRule } from "../schema/request-authentication.ts";
import type { RequestRedirect, RouteMatch } from "../schema/httproute.ts";

/** Where PEM text comes from: a file (as resolved from the policy folder) or the policy itself. */
export type Pem = { file: string } | { inline: string };

export interface KeyPair {
  certificate: Pem;
  key: Pem;
}

export interface ListenerTls {
  certificates: KeyPair[];
  /** Clients must present a certificate that one of these authorities signed. */
  clientAuthorities: Pem[];
}

export interface ListenerModel {
  name: string;
  /** `*` where the listener names none. */
  hostname: string;
  tls?: ListenerTls;
  attached: AttachedRoute[];
  /** Of a TCP or TLS listener, which has no HTTP routes. */
  tcp?: TcpRouteModel;
}

export interface AttachedRoute {
  route: RouteModel;
  /** Each pair: a host name of the route (`*` if it has none) and its intersection with the listener's. */
  hosts: { own: string; effective: string }[];
}

export type Protocol = "HTTP" | "HTTPS" | "TCP" | "TLS";

export const speaksHttp = (protocol: Protocol): boolean => protocol.startsWith("HTTP");

/** One address and port: one Envoy listener. */
export interface Socket {
  name: string;
  addresses: string[];
  port: number;
  protocol: Protocol;
  listeners: ListenerModel[];
}

export interface GatewayModel {
  resource: Resource<"Gateway">;
  /** Own labels, those of its infrastructure, and gateway.networking.k8s.io/gateway-name. */
  labels: Record<string, string>;
  sockets: Socket[];
  /** Shown to backends that ask for a certificate. */
  clientCertificate?: KeyPair;
  metrics: boolean;
  accessLog: boolean;
  /** Request headers that the access log has, by name in lower case. */
  accessLogHeaders: string[];
}

export interface RouteModel {
  resource: Resource<"HTTPRoute">;
  hostnames: string[];
  rules: RuleModel[];
}

export interface TcpRouteModel {
  resource: Resource<"TCPRoute">;
  /** Those that get connections. */
  arms: { backend: Resource<"Backend">; weight: number }[];
}

/** An external authorizer. */
export interface Provider {
  resource: Resource<"ExtensionProvider">;
  /** As CUSTOM policies call it. */
  name: string;
  backend: Resource<"Backend">;
  /** One of the two. */
  grpc?: GrpcProvider;
  http?: HttpProvider;
}

export interface HeaderChanges {
  /** In order; `append: false` replaces what is there. */
  values: { name: string; value: string; append: boolean }[];
  remove: string[];
}

export interface ArmModel {
  name: string;
  backend: Resource<"Backend">;
  weight: number;
  requestHeaders: HeaderChanges;
  responseHeaders: HeaderChanges;
}

export interface RuleModel {
  /** Also the name of every Envoy route made from this rule: `<namespace>/<httproute>/<rule name or index>`. */
  id: string;
  route: Resource<"HTTPRoute">;
  index: number;
  matches: RouteMatch[];
  requestHeaders: HeaderChanges;
  responseHeaders: HeaderChanges;
  /** Exactly one of: forward to arms, redirect, or answer with a status. */
  arms: ArmModel[];
  redirect?: RequestRedirect;
  status?: number;
  rewrite?: { hostname?: string; path?: PathChange };
  mirrors: { backend: Resource<"Backend">; perMillion: number }[];
  /** Milliseconds; 0 is none; undefined is Envoy's default. */
  requestTimeout?: number;
  backendTimeout?: number;
  retry?: { codes: number[]; attempts: number; backoff?: number };
  /** Present where traffic is split: two arms or more. */
  rollout?: Rollout;
}

export type PathChange = { full: string } | { prefix: string };

export interface Rollout {
  id: string;
  /** The stable arm's name; it also stands first in `arms`. */
  stable: string;
  stickiness?: { salt: string; keys: StickyKey[] };
}

export interface UpstreamTls {
  sni: string;
  authorities: Pem[];
  /** One of these must be in the certificate; without any, the host name. */
  subjectAltNames: { type: "DNS" | "URI"; value: string }[];
}

/** A destination as authorization sees it. */
export interface Workload {
  name: string;
  namespace: string;
  labels: Record<string, string>;
  targets: string[];
  routes: string[];
}

export interface Model {
  gateways: GatewayModel[];
  /** By id of the Backend. */
  upstreamTls: Map<string, UpstreamTls>;
  policies: Resource<"AuthorizationPolicy">[];
  authentications: Authentication[];
  /** By name. */
  providers: Map<string, Provider>;
  /** Policies come in signed bundles. */
  bundle?: BundleModel;
}

/** A PolicyBundle. */
export interface BundleModel {
  resource: Resource<"PolicyBundle">;
  source?: BundleSource;
}

/** Where bundles are fetched, by HTTP/1.1. */
export interface BundleSource {
  backend: Resource<"Backend">;
  /** With `{audience}` for whom a bundle is for. */
  path: string;
  authority: string;
  intervalSeconds: number;
  timeoutSeconds: number;
}

/** A RequestAuthentication. */
export interface Authentication {
  resource: Resource<"RequestAuthentication">;
  providers: JwtProvider[];
}

/** One of its rules, and where its keys are fetched from if they aren't in it. */
export interface JwtProvider {
  /** `<namespace>/<name>/<index>`. */
  name: string;
  rule: JwtRule;
  /** Without TLS: on this node. Timeout in milliseconds. */
  remote?: { uri: string; host: string; port: number; tls?: UpstreamTls; timeout: number };
}
