/** HTTPRoute, gateway.networking.k8s.io/v1. */
import { Type, type Static } from "@sinclair/typebox";
import {
  closed,
  Duration,
  HeaderName,
  Hostname,
  listOf,
  NamespaceName,
  ObjectName,
  optional,
  Port,
  PreciseHostname,
  unsupported,
} from "./common.ts";

const literals = <T extends string>(...values: T[]) => Type.Union(values.map((value) => Type.Literal(value)));

const AbsolutePath = Type.String({ maxLength: 1024, expected: "a path that starts with /" });

const ValueMatchType = literals("Exact", "RegularExpression");

const PathMatch = closed({
  type: optional(literals("Exact", "PathPrefix", "RegularExpression")),
  value: optional(AbsolutePath),
});

const HeaderMatch = closed({
  type: optional(ValueMatchType),
  name: HeaderName,
  value: Type.String({ minLength: 1, maxLength: 4096 }),
});

const QueryParamMatch = closed({
  type: optional(ValueMatchType),
  name: Type.String({ minLength: 1, maxLength: 256 }),
  value: Type.String({ minLength: 1, maxLength: 1024 }),
});

const Match = closed({
  path: optional(PathMatch),
  headers: optional(Type.Array(HeaderMatch, { maxItems: 16 })),
  queryParams: optional(Type.Array(QueryParamMatch, { maxItems: 16 })),
  method: optional(literals("GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH")),
});

const Header = closed({ name: HeaderName, value: Type.String({ minLength: 1, maxLength: 4096 }) });

const HeaderModifier = closed({
  set: optional(Type.Array(Header, { maxItems: 16 })),
  add: optional(Type.Array(Header, { maxItems: 16 })),
  remove: optional(Type.Array(HeaderName, { maxItems: 16 })),
});

const PathModifier = closed({
  type: literals("ReplaceFullPath", "ReplacePrefixMatch"),
  replaceFullPath: optional(AbsolutePath),
  replacePrefixMatch: optional(Type.String({ maxLength: 1024 })),
});

const RequestRedirect = closed({
  scheme: optional(literals("http", "https")),
  hostname: optional(PreciseHostname),
  path: optional(PathModifier),
  port: optional(Port),
  statusCode: optional(Type.Union([301, 302, 303, 307, 308].map((code) => Type.Literal(code)))),
});

const UrlRewrite = closed({ hostname: optional(PreciseHostname), path: optional(PathModifier) });

/** `kind` defaults to Service upstream; there are none on a node, which the resolver says. */
export const BackendReference = {
  group: optional(Type.String()),
  kind: optional(Type.String()),
  name: ObjectName,
  namespace: optional(NamespaceName),
  port: optional(Port),
};

const RequestMirror = closed({
  backendRef: closed(BackendReference),
  percent: optional(Type.Integer({ minimum: 0, maximum: 100 })),
  fraction: optional(
    closed({ numerator: Type.Integer({ minimum: 0 }), denominator: optional(Type.Integer({ minimum: 1 })) }),
  ),
});

const Filter = closed({
  type: literals(
    "RequestHeaderModifier",
    "ResponseHeaderModifier",
    "RequestRedirect",
    "URLRewrite",
    "RequestMirror",
  ),
  requestHeaderModifier: optional(HeaderModifier),
  responseHeaderModifier: optional(HeaderModifier),
  requestRedirect: optional(RequestRedirect),
  urlRewrite: optional(UrlRewrite),
  requestMirror: optional(RequestMirror),
  cors: unsupported("the CORS filter is not supported"),
  externalAuth: unsupported("the ExternalAuth filter is not supported: use an AuthorizationPolicy"),
  extensionRef: unsupported("extension filters are not supported"),
});

export const Weight = Type.Integer({ minimum: 0, maximum: 1_000_000, expected: "a weight, 0 to 1000000" });

const BackendRef = closed({
  ...BackendReference,
  weight: optional(Weight),
  filters: optional(Type.Array(Filter, { maxItems: 16 })),
});

const Rule = closed({
  name: optional(ObjectName),
  matches: optional(Type.Array(Match, { maxItems: 64 })),
  filters: optional(Type.Array(Filter, { maxItems: 16 })),
  backendRefs: optional(Type.Array(BackendRef, { maxItems: 16 })),
  timeouts: optional(closed({ request: optional(Duration), backendRequest: optional(Duration) })),
  retry: optional(
    closed({
      codes: optional(
        Type.Array(Type.Integer({ minimum: 400, maximum: 599, expected: "a status code, 400 to 599" })),
      ),
      attempts: optional(Type.Integer({ minimum: 0, maximum: 100 })),
      backoff: optional(Duration),
    }),
  ),
  sessionPersistence: unsupported("session persistence is not supported: a CanaryPolicy gives sticky canaries"),
});

export const ParentRef = closed({
  group: optional(Type.String()),
  kind: optional(Type.String()),
  namespace: optional(NamespaceName),
  name: ObjectName,
  sectionName: optional(ObjectName),
  port: optional(Port),
});

export const HttpRouteSpec = closed({
  parentRefs: optional(Type.Array(ParentRef, { maxItems: 32 })),
  hostnames: optional(Type.Array(Hostname, { maxItems: 16 })),
  rules: optional(listOf(Rule, 16)),
  useDefaultGateways: unsupported("default Gateways are not supported: name the Gateway in parentRefs"),
});

export type HttpRouteSpec = Static<typeof HttpRouteSpec>;
export type RouteRule = Static<typeof Rule>;
export type RouteMatch = Static<typeof Match>;
export type RouteFilter = Static<typeof Filter>;
export type RouteBackendRef = Static<typeof BackendRef>;
export type RouteParentRef = Static<typeof ParentRef>;
export type HeaderModifier = Static<typeof HeaderModifier>;
export type PathModifier = Static<typeof PathModifier>;
export type RequestRedirect = Static<typeof RequestRedirect>;
export type UrlRewrite = Static<typeof UrlRewrite>;
export type RequestMirror = Static<typeof RequestMirror>;
