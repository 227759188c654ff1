/** Scenario, selvedge.dev/v1alpha1: what `selvedge run` plays on a node, and what it expects to see. */
import { Type, type Static } from "@sinclair/typebox";
import { closed, HeaderName, listOf, NamespaceName, ObjectName, optional, resource } from "../compose/schema/common.ts";

export const SCENARIO = "selvedge.dev/v1alpha1/Scenario";

const BackendRef = closed({ name: ObjectName, namespace: optional(NamespaceName) });

const Id = Type.String({
  pattern: "^[a-z0-9]([-a-z0-9]*[a-z0-9])?/[a-z0-9]([-.a-z0-9]*[a-z0-9])?$",
  expected: "namespace/name",
});

const Workload = closed({
  name: ObjectName,
  namespace: NamespaceName,
  /** Default: the workload's name. */
  serviceAccount: optional(ObjectName),
  /** Directory for its certificate, relative to this file. Default: certs/<namespace>-<name>. */
  certificates: optional(Type.String({ minLength: 1, pattern: "^[^/\\\\]", expected: "a path relative to this file" })),
});

const Upstream = closed({
  backend: BackendRef,
  /** Milliseconds until it answers: log-normal through these two points. Default: at once. */
  latency: optional(
    closed({
      p50: Type.Number({ minimum: 0, maximum: 60_000 }),
      p99: optional(Type.Number({ minimum: 0, maximum: 60_000 })),
    }),
  ),
  /** The share of requests that it answers with an error. */
  errors: optional(
    closed({
      ratio: Type.Number({ minimum: 0, maximum: 1, expected: "a share, 0 to 1" }),
      status: optional(Type.Integer({ minimum: 500, maximum: 599, expected: "a 5xx status" })),
    }),
  ),
  bodyBytes: optional(Type.Integer({ minimum: 0, maximum: 1_048_576 })),
});

const Request = closed({
  method: optional(Type.String({ pattern: "^[A-Z]+$", expected: "a method in upper case" })),
  host: Type.String({ pattern: "^[^\\s/:]+$", expected: "a host name without port" }),
  path: optional(Type.String({ pattern: "^/\\S*$", expected: "a path that starts with /" })),
  /** `{user}` in a value or in the path stands for the user's name, in traffic with `canary`. */
  headers: optional(Type.Record(HeaderName, Type.String())),
  bodyBytes: optional(Type.Integer({ minimum: 0, maximum: 1_048_576 })),
});

const Canary = closed({
  /** `namespace/httproute`, or with its rule `namespace/httproute/rule`: whose weights to expect. */
  route: Type.String({ pattern: "^[^/]+/[^/]+(/[^/]+)?$", expected: "namespace/httproute or namespace/httproute/rule" }),
  users: Type.Integer({ minimum: 1, maximum: 100_000 }),
  /** More than one shows whether a user stays on an arm. */
  requestsPerUser: optional(Type.Integer({ minimum: 1, maximum: 100 })),
});

const Traffic = closed({
  /** `namespace/name` of a workload; without it no certificate is shown. */
  from: optional(Id),
  request: Request,
  /** Default 20; traffic with `canary` counts users instead. */
  count: optional(Type.Integer({ minimum: 1, maximum: 1_000_000 })),
  /** Requests under way at once. Default 4. */
  concurrency: optional(Type.Integer({ minimum: 1, maximum: 64 })),
  /** allow: an upstream answered; deny: the filter refused; refuse: no connection at all. Default with `canary`: allow. */
  expect: optional(Type.Union(["allow", "deny", "refuse"].map((value) => Type.Literal(value as "allow" | "deny" | "refuse")))),
  /** The AuthorizationPolicy that decides, `namespace/name` or with its rule `namespace/name#0`; `none` where no policy matches. */
  by: optional(
    Type.String({
      pattern: "^(none|[a-z0-9]([-a-z0-9]*[a-z0-9])?/[a-z0-9]([-.a-z0-9]*[a-z0-9])?(#\\d+)?)$",
      expected: "namespace/name of an AuthorizationPolicy, namespace/name#rule, or none",
    }),
  ),
  canary: optional(Canary),
});

export const ScenarioSpec = closed({
  /** Default: the only Gateway of the folder. */
  gateway: optional(BackendRef),
  /** Name of the listener that the traffic goes to. Default: the first with HTTPS. */
  listener: optional(ObjectName),
  trustDomain: optional(Type.String({ pattern: "^[a-z0-9._-]+$", maxLength: 255, expected: "a SPIFFE trust domain" })),
  workloads: listOf(Workload, 100),
  upstreams: optional(listOf(Upstream, 100)),
  traffic: listOf(Traffic, 200),
});

export const ScenarioResource = resource({ spec: ScenarioSpec });

export type ScenarioResource = Static<typeof ScenarioResource>;
export type ScenarioSpec = Static<typeof ScenarioSpec>;
export type TrafficSpec = Static<typeof Traffic>;
export type UpstreamSpec = Static<typeof Upstream>;
