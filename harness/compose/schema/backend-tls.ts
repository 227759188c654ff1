/** BackendTLSPolicy, gateway.networking.k8s.io/v1: TLS from the node to a Backend. */
import { Type, type Static } from "@sinclair/typebox";
import { closed, listOf, ObjectName, optional, PreciseHostname, unsupported } from "./common.ts";

const LocalRef = closed({ group: Type.String(), kind: Type.String(), name: ObjectName });

const SubjectAltName = closed({
  type: Type.Union([Type.Literal("Hostname"), Type.Literal("URI")]),
  hostname: optional(Type.String({ pattern: "^(\\*\\.)?[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$" })),
  uri: optional(Type.String({ pattern: "^[A-Za-z][A-Za-z0-9+.\\-]*://.+$", expected: "an absolute URI such as spiffe://…" })),
});

export const BackendTlsSpec = closed({
  targetRefs: listOf(
    closed({
      group: Type.String(),
      kind: Type.String(),
      name: ObjectName,
      sectionName: unsupported("a Backend has no named ports: leave sectionName out"),
    }),
    16,
  ),
  validation: closed({
    caCertificateRefs: optional(Type.Array(LocalRef, { maxItems: 8 })),
    wellKnownCACertificates: optional(Type.Union([Type.Literal("System")], { expected: "System" })),
    hostname: PreciseHostname,
    subjectAltNames: optional(Type.Array(SubjectAltName, { maxItems: 5 })),
  }),
  options: unsupported("TLS options belong to an implementation"),
});

export type BackendTlsSpec = Static<typeof BackendTlsSpec>;
