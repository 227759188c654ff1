/** Every kind that a policy folder may hold, with its API group, versions and schema. */
import type { Static, TSchema } from "@sinclair/typebox";
import { AuthorizationSpec } from "./authorization.ts";
import { BackendSpec } from "./backend.ts";
import { BackendTlsSpec } from "./backend-tls.ts";
import { BundleSpec } from "./bundle.ts";
import { CanarySpec } from "./canary.ts";
import { resource } from "./common.ts";
import { GatewaySpec } from "./gateway.ts";
import { HttpRouteSpec } from "./httproute.ts";
import { RequestAuthenticationSpec } from "./request-authentication.ts";
import { ProviderSpec } from "./provider.ts";
import { ConfigMapResource, SecretResource } from "./secret.ts";
import { TcpRouteSpec } from "./tcproute.ts";
import { TelemetrySpec } from "./telemetry.ts";

export const GATEWAY_GROUP = "gateway.networking.k8s.io";
export const BACKEND_GROUP = "gateway.envoyproxy.io";
export const SELVEDGE_GROUP = "selvedge.dev";

const kind = <T extends TSchema>(group: string, versions: string[], schema: T) => ({ group, versions, schema });

export const KINDS = {
  Gateway: kind(GATEWAY_GROUP, ["v1", "v1beta1"], resource({ spec: GatewaySpec })),
  HTTPRoute: kind(GATEWAY_GROUP, ["v1", "v1beta1"], resource({ spec: HttpRouteSpec })),
  TCPRoute: kind(GATEWAY_GROUP, ["v1alpha2"], resource({ spec: TcpRouteSpec })),
  BackendTLSPolicy: kind(GATEWAY_GROUP, ["v1", "v1alpha3"], resource({ spec: BackendTlsSpec })),
  Backend: kind(BACKEND_GROUP, ["v1alpha1"], resource({ spec: BackendSpec })),
  AuthorizationPolicy: kind("security.istio.io", ["v1", "v1beta1"], resource({ spec: AuthorizationSpec })),
  RequestAuthentication: kind("security.istio.io", ["v1", "v1beta1"], resource({ spec: RequestAuthenticationSpec })),
  Telemetry: kind("telemetry.istio.io", ["v1", "v1alpha1"], resource({ spec: TelemetrySpec })),
  CanaryPolicy: kind(SELVEDGE_GROUP, ["v1alpha1"], resource({ spec: CanarySpec })),
  PolicyBundle: kind(SELVEDGE_GROUP, ["v1alpha1"], resource({ spec: BundleSpec })),
  ExtensionProvider: kind(SELVEDGE_GROUP, ["v1alpha1"], resource({ spec: ProviderSpec })),
  Secret: kind("", ["v1"], SecretResource),
  ConfigMap: kind("", ["v1"], ConfigMapResource),
};

export type Kind = keyof typeof KINDS;
export type Value<K extends Kind> = Static<(typeof KINDS)[K]["schema"]>;
export type Spec<K extends Kind> = Value<K> extends { spec: infer S } ? S : never;

/** `group/version` as `apiVersion` writes it; the core group has no slash. */
export function apiVersion(group: string, version: string): string {
  return group === "" ? version : `${group}/${version}`;
}
