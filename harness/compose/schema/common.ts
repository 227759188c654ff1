/** Building blocks of the kinds' schemas. A schema is the one source for the TypeScript type and for validation. */
import { Type, type ObjectOptions, type TProperties, type TSchema } from "@sinclair/typebox";

/** An object that refuses fields it doesn't name. */
export const closed = <T extends TProperties>(properties: T, options: ObjectOptions = {}) =>
  Type.Object(properties, { ...options, additionalProperties: false });

/**
 * A field that the upstream kind has and Selvedge doesn't implement: refused with `why`, never ignored.
 * Typed as absent, so that no code can read it.
 */
export const unsupported = (why: string) => Type.Optional(Type.Unsafe<undefined>({ unsupported: why }));

export const optional = Type.Optional;

/** A list that, when present, must say something. */
export const listOf = <T extends TSchema>(item: T, maxItems: number) => Type.Array(item, { minItems: 1, maxItems });

const LABEL = "[a-z0-9]([-a-z0-9]*[a-z0-9])?";

/** RFC 1123 subdomain: the name of a Kubernetes object. */
export const ObjectName = Type.String({
  pattern: `^${LABEL}(\\.${LABEL})*$`,
  maxLength: 253,
  expected: "lower-case letters, digits, '-' and '.', at most 253 characters",
});

export const NamespaceName = Type.String({
  pattern: `^${LABEL}$`,
  maxLength: 63,
  expected: "lower-case letters, digits and '-', at most 63 characters",
});

/** Gateway API PreciseHostname: no wildcard, no IP address (checked apart), no port. */
export const PreciseHostname = Type.String({
  pattern: `^${LABEL}(\\.${LABEL})*$`,
  maxLength: 253,
  expected: "a host name in lower case, without port",
});

/** Gateway API Hostname: precise, or with `*.` as its first label. */
export const Hostname = Type.String({
  pattern: `^(\\*\\.)?${LABEL}(\\.${LABEL})*$`,
  maxLength: 253,
  expected: "a host name in lower case, without port; a wildcard only as its first label, as in *.example.com",
});

export const Port = Type.Integer({ minimum: 1, maximum: 65535, expected: "a port, 1 to 65535" });

/** GEP-2257: up to four integers with units h, m, s, ms. */
export const Duration = Type.String({
  pattern: "^([0-9]{1,5}(h|m|s|ms)){1,4}$",
  expected: "a duration such as 10s, 1m30s or 500ms (GEP-2257)",
});

/** RFC 7230 token. */
export const HeaderName = Type.String({
  pattern: "^[A-Za-z0-9!#$%&'*+\\-.^_\\x60|~]+$",
  minLength: 1,
  maxLength: 256,
  expected: "a header name",
});

export const Labels = Type.Record(Type.String(), Type.String());

export const Metadata = closed({
  name: ObjectName,
  namespace: optional(NamespaceName),
  labels: optional(Labels),
  annotations: optional(Labels),
  creationTimestamp: optional(
    Type.String({
      pattern: "^\\d{4}-\\d\\d-\\d\\dT\\d\\d:\\d\\d:\\d\\d(\\.\\d+)?(Z|[+-]\\d\\d:\\d\\d)$",
      expected: "an RFC 3339 time in quotes",
    }),
  ),
  // What a cluster adds to an object (`kubectl get -o yaml`): without meaning here.
  generation: optional(Type.Any()),
  resourceVersion: optional(Type.Any()),
  uid: optional(Type.Any()),
  managedFields: optional(Type.Any()),
  ownerReferences: optional(Type.Any()),
  finalizers: optional(Type.Any()),
  selfLink: optional(Type.Any()),
});

/** Attachment of Istio policies by name: `targetRefs`. */
export const TargetRef = closed({
  group: optional(Type.String()),
  kind: Type.String(),
  name: ObjectName,
  namespace: optional(NamespaceName),
});

/** Attachment of Istio policies by label. */
export const Selector = closed({ matchLabels: optional(Labels) });

/** A whole resource around its spec. */
export const resource = <T extends TProperties>(properties: T) =>
  closed({
    apiVersion: Type.String(),
    kind: Type.String(),
    metadata: Metadata,
    ...properties,
    status: optional(Type.Any()),
  });
