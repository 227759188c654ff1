/**
 * The format of a file of test cases, one example of which explains it:
 *
 *     filter: authz
 *     config: { policies: [ … ] }
 *     cases:
 *       - name: the frontend may read
 *         request: { path: /books, peer: spiffe://cluster.local/ns/prod/sa/frontend }
 *         expect: { status: 200 }
 *
 * The schema is the one source of the TypeScript types, of what is checked when a file is read, and of what editors know.
 */
import { Type, type Static } from "@sinclair/typebox";
import { Calls, Clusters } from "./schema-calls.ts";
import { Bytes, ClosedBy, Connection, Script } from "./schema-connections.ts";
import { AnsweredBody, closed, Duration, ExpectedHeaders, GrpcAnswer, GrpcCode, Headers, Messages, optional, Protocol, SENDER, SentBody, Status, texts } from "./schema-parts.ts";

const Range = Type.Tuple([Type.Number(), Type.Number()], { expected: "[least, most]" });

/** What a snapshot can hold. */
export const SNAPSHOT_PARTS = ["response", "upstream", "calls", "metrics", "logs"] as const;

const Request = closed(
  {
    method: optional(Type.String({ description: "GET unless given" })),
    path: optional(Type.String({ description: "/ unless given" })),
    host: optional(Type.Union([Type.String(), Type.Null()], { expected: "a host, or null for a request without one", description: "The Host header, :authority in HTTP/2; example.test unless given" })),
    headers: optional(Headers),
    body: optional(SentBody),
    trailers: optional(Headers),
    protocol: optional(Protocol),
    grpc: optional(Messages),
    abort: optional(Type.String({ pattern: "^[0-9]+(ms|s)$", expected: "a duration such as 50ms or 2s", description: "The client goes away when it has no whole answer by then" })),
    raw: optional(Type.String({ description: "Exactly these bytes over the connection, instead of all else (Envoy only)" })),
    ...SENDER,
    route: optional(Type.Union([Type.String(), Type.Null()], { expected: "the name of a route, or null for none", description: "Route that Envoy chooses for this request; `default` unless given" })),
    metadata: optional(Type.Record(Type.String(), Type.Unknown(), { description: "Dynamic metadata that filters ahead of this one left, by their names" })),
    properties: optional(Type.Record(Type.String(), Type.Unknown(), { description: "Pinned properties (host engine only), e.g. request.time: 5" })),
  },
  { description: "What the client sends" },
);

const Upstream = closed(
  {
    status: optional(Status),
    headers: optional(Headers),
    body: optional(AnsweredBody),
    trailers: optional(Headers),
    grpc: optional(GrpcAnswer),
    protocol: optional(Protocol),
    delay: optional(Duration),
    reset: optional(Type.Literal(true, { expected: "true", description: "Closes the connection instead of answering" })),
    send: optional(Script),
  },
  { description: "What the upstream answers to a request (200 and an empty body unless given); on a connection, what it sends" },
);

const Metric = closed({
  name: Type.String(),
  labels: optional(Type.Record(Type.String(), Type.Union([Type.String(), Type.Number()], { expected: "a text or a number" }), { description: "Those that matter; every series that has them is added up" })),
  delta: optional(Type.Number({ description: "By how much the counter grew in this step" })),
  value: optional(Type.Number({ description: "Value of the gauge or counter after this step" })),
  count: optional(Type.Integer({ minimum: 0, description: "How many values the histogram got in this step" })),
  values: optional(Type.Array(Type.Number(), { description: "The values that it got, in any order" })),
});

const SnapshotPart = Type.Union(SNAPSHOT_PARTS.map((part) => Type.Literal(part)), { expected: `one of ${SNAPSHOT_PARTS.join(", ")}` });
const Parts = Type.Union([Type.Literal(true, { expected: "true" }), Type.Array(SnapshotPart, { minItems: 1 })], { expected: `true for everything, or a list of ${SNAPSHOT_PARTS.join(", ")}` });
const Snapshot = Type.Union(
  [
    Type.Literal(true, { expected: "true" }),
    Type.Array(SnapshotPart, { minItems: 1 }),
    closed({ of: optional(Parts), mask: Type.Array(Type.String(), { description: "Regular expressions: what they match (or their first group) may differ from run to run" }) }),
  ],
  { expected: `true, a list of ${SNAPSHOT_PARTS.join(", ")}, or { of: …, mask: [regular expressions] }`, description: "The same as last time, as stored beside this file and written by --update-snapshots" },
);

const ExpectedGrpc = closed({ status: optional(GrpcCode), message: optional(Type.String()), messages: optional(Messages) }, { description: "The gRPC answer that the client gets" });

const Expect = closed(
  {
    status: optional(Status),
    headers: optional(ExpectedHeaders),
    body: optional(Type.String()),
    "body-contains": optional(Type.String()),
    trailers: optional(ExpectedHeaders),
    grpc: optional(ExpectedGrpc),
    complete: optional(Type.Boolean({ description: "Whether the client got the whole answer" })),
    denied: optional(Type.Union([Type.Boolean(), Type.String()], { expected: "true, false, or what the response's details say, such as prod/deny-all#0", description: "Answered by a filter instead of the upstream" })),
    route: optional(Type.Union([Type.String(), Type.Null()], { expected: "the name of a route, or null" })),
    arm: optional(Type.String({ description: "`stable`, or the arm whose route was taken" })),
    upstream: optional(closed({ headers: optional(ExpectedHeaders), body: optional(Type.String()), path: optional(Type.String()), trailers: optional(ExpectedHeaders), messages: optional(Messages), received: optional(Bytes), connected: optional(Type.Boolean()) }, { description: "The request, or the connection's bytes, as the upstream got them" })),
    received: optional(Bytes),
    closed: optional(ClosedBy),
    calls: optional(Calls),
    metrics: optional(Type.Array(Metric)),
    logs: optional(texts("a text that a log line contains, or a list of them")),
    "no-logs": optional(texts("a text that no log line contains, or a list of them")),
    time: optional(Type.Tuple([Duration, Duration], { expected: "[least, most], such as [0ms, 2s]", description: "How long the step took; the host's clock stands still but for delays" })),
    share: optional(Type.Record(Type.String(), Range, { description: "Of repeated requests, which part took each arm: {stable: [0.9, 1]}" })),
    snapshot: optional(Snapshot),
    "configuration-error": optional(Type.String({ description: "The configuration is refused, and the message contains this" })),
  },
  { description: "What must come of it" },
);

const Step = closed({
  wait: optional(Duration),
  request: optional(Request),
  connection: optional(Connection),
  upstream: optional(Upstream),
  clusters: optional(Clusters),
  repeat: optional(Type.Integer({ minimum: 1, maximum: 100_000, expected: "a number of requests, 1 to 100000" })),
  expect: Type.Optional(Expect),
});

const Routes = Type.Record(Type.String(), closed({ arms: optional(Type.Array(Type.String())) }), {
  description: "Routes with canary arms: for each arm there is a route `<route>/<arm>` that matches filter state `wasm.selvedge_arm`",
});

const Engines = Type.Array(Type.Union([Type.Literal("host"), Type.Literal("envoy")], { expected: "host or envoy" }), { minItems: 1, description: "Engines that can run this case; both unless given" });

const Config = Type.Unknown({ description: "The plugin's configuration: a mapping becomes JSON, a text stays as it is" });

export const CaseSchema = closed({
  name: Type.String({ minLength: 1 }),
  because: optional(Type.String({ minLength: 1, description: "Why only one engine can run it" })),
  engines: optional(Engines),
  config: optional(Config),
  routes: optional(Routes),
  request: optional(Request),
  connection: optional(Connection),
  upstream: optional(Upstream),
  clusters: optional(Clusters),
  repeat: optional(Type.Integer({ minimum: 1, maximum: 100_000, expected: "a number of requests, 1 to 100000", description: "Sends the request that often; ${n} in it counts from 0" })),
  expect: optional(Expect),
  steps: optional(Type.Array(Step, { minItems: 1, description: "Requests one after another, on one filter" })),
  table: optional(Type.Array(Type.Record(Type.String(), Type.Unknown()), { minItems: 1, description: "One case for each row; ${column} in the case stands for the row's value. A null leaves the field out." })),
});

export const FileSchema = closed({
  filter: optional(Type.String({ description: "A filter of this project: dist/<filter>.wasm" })),
  module: optional(Type.String({ description: "Path of the module, from this file; instead of the filter's" })),
  "root-id": optional(Type.String({ description: "Root context; the filter's name unless given" })),
  config: optional(Config),
  routes: optional(Routes),
  clusters: optional(Clusters),
  cases: Type.Array(CaseSchema, { minItems: 1 }),
});

export type CaseSpec = Static<typeof CaseSchema>;
export type FileSpec = Static<typeof FileSchema>;
export type StepSpec = Static<typeof Step>;
export type RequestSpec = Static<typeof Request>;
export type UpstreamSpec = Static<typeof Upstream>;
export type ExpectSpec = Static<typeof Expect>;
export type MetricSpec = Static<typeof Metric>;
export type SnapshotSpec = Static<typeof Snapshot>;
export type SnapshotPart = (typeof SNAPSHOT_PARTS)[number];
export type { HeadersSpec } from "./schema-parts.ts";
export type { ConnectionSpec } from "./schema-connections.ts";
export type RoutesSpec = Static<typeof Routes>;
export type EngineName = "host" | "envoy";
