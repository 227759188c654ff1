/** Backend, gateway.envoyproxy.io/v1alpha1: endpoints by address, no cluster needed. */
import { Type, type Static } from "@sinclair/typebox";
import { closed, listOf, optional, Port, PreciseHostname, unsupported } from "./common.ts";

const Endpoint = closed({
  ip: optional(closed({ address: Type.String({ minLength: 1, expected: "an IPv4 or IPv6 address" }), port: Port })),
  fqdn: optional(closed({ hostname: PreciseHostname, port: Port })),
  unix: unsupported("Unix domain sockets are not supported: give ip or fqdn"),
  hostname: unsupported("a host name per endpoint is not supported: give fqdn"),
  zone: unsupported("zones are not supported on one node"),
});

export const APP_PROTOCOLS = [
  "gateway.envoyproxy.io/h2c",
  "gateway.envoyproxy.io/ws",
  "gateway.envoyproxy.io/wss",
  "kubernetes.io/h2c",
  "kubernetes.io/ws",
  "kubernetes.io/wss",
] as const;

export const BackendSpec = closed({
  type: optional(Type.Union([Type.Literal("Endpoints")], { expected: "Endpoints" })),
  endpoints: listOf(Endpoint, 64),
  appProtocols: optional(Type.Array(Type.Union(APP_PROTOCOLS.map((value) => Type.Literal(value))))),
  fallback: unsupported("fallback backends are not supported"),
  tls: unsupported("TLS of a Backend is set by a BackendTLSPolicy"),
});

export type BackendSpec = Static<typeof BackendSpec>;
