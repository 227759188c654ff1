/** Gateway, gateway.networking.k8s.io/v1. */
import { Type, type Static } from "@sinclair/typebox";
import { closed, Hostname, Labels, listOf, NamespaceName, ObjectName, optional, Port, unsupported } from "./common.ts";

/** A reference to a Secret or ConfigMap; group is the core one, "". */
export const CertificateRef = closed({
  group: optional(Type.String()),
  kind: optional(Type.String()),
  name: ObjectName,
  namespace: optional(NamespaceName),
});

const FrontendValidation = closed({
  caCertificateRefs: listOf(CertificateRef, 8),
  mode: optional(
    Type.Union([Type.Literal("AllowValidOnly")], {
      expected: "AllowValidOnly (AllowInsecureFallback would let any client in, so it is refused)",
    }),
  ),
});

const FrontendTls = closed({ validation: optional(FrontendValidation) });

const LabelSelector = closed({
  matchLabels: optional(Labels),
  matchExpressions: optional(
    Type.Array(
      closed({
        key: Type.String(),
        operator: Type.Union(["In", "NotIn", "Exists", "DoesNotExist"].map((value) => Type.Literal(value))),
        values: optional(Type.Array(Type.String())),
      }),
    ),
  ),
});

const AllowedRoutes = closed({
  namespaces: optional(
    closed({
      from: optional(Type.Union([Type.Literal("All"), Type.Literal("Same"), Type.Literal("Selector"), Type.Literal("None")])),
      selector: optional(LabelSelector),
    }),
  ),
  kinds: optional(Type.Array(closed({ group: optional(Type.String()), kind: Type.String() }))),
});

const ListenerTls = closed({
  mode: optional(Type.Union([Type.Literal("Terminate")], { expected: "Terminate (Passthrough is not supported)" })),
  certificateRefs: listOf(CertificateRef, 64),
  /** Before Gateway API 1.4. */
  frontendValidation: optional(FrontendValidation),
  options: unsupported("TLS options belong to an implementation; Selvedge always takes TLS 1.2 or newer"),
});

export const Listener = closed({
  name: ObjectName,
  hostname: optional(Hostname),
  port: Port,
  protocol: Type.Union([Type.Literal("HTTP"), Type.Literal("HTTPS"), Type.Literal("TCP"), Type.Literal("TLS")], {
    expected: "HTTP, HTTPS, TCP or TLS (UDP listeners are not supported)",
  }),
  tls: optional(ListenerTls),
  allowedRoutes: optional(AllowedRoutes),
});

export const GatewaySpec = closed({
  /** Any class: on one node Selvedge stands in for the controller. */
  gatewayClassName: Type.String({ minLength: 1 }),
  listeners: listOf(Listener, 64),
  addresses: optional(
    Type.Array(
      closed({
        type: optional(Type.Union([Type.Literal("IPAddress")], { expected: "IPAddress" })),
        value: Type.String({ minLength: 1, expected: "an IP address to listen on" }),
      }),
      { maxItems: 16 },
    ),
  ),
  infrastructure: optional(
    closed({
      labels: optional(Labels),
      annotations: unsupported("there is no generated infrastructure to annotate"),
      parametersRef: unsupported("there is no generated infrastructure to configure"),
    }),
  ),
  tls: optional(
    closed({
      /** Presented to backends that a BackendTLSPolicy secures. */
      backend: optional(closed({ clientCertificateRef: optional(CertificateRef) })),
      frontend: optional(
        closed({
          default: FrontendTls,
          perPort: optional(Type.Array(closed({ port: Port, tls: FrontendTls }), { maxItems: 64 })),
        }),
      ),
    }),
  ),
  allowedListeners: unsupported("ListenerSets are not supported: list every listener in the Gateway"),
  defaultScope: unsupported("default Gateways are not supported: name the Gateway in parentRefs"),
});

export type GatewaySpec = Static<typeof GatewaySpec>;
export type GatewayListener = Static<typeof Listener>;
export type CertificateRef = Static<typeof CertificateRef>;
export type LabelSelector = Static<typeof LabelSelector>;
