/** What a case asks an engine to do, and what the engine saw. The same for both engines. */
import type { Position } from "../errors.ts";
import type { HeaderPairs, UpstreamPlan } from "./messages.ts";
import type { ClustersSpec } from "./schema-calls.ts";
import type { Act, ConnectionSeen } from "./connections.ts";
import type { ConnectionSpec, EngineName, ExpectSpec, RequestSpec, RoutesSpec } from "./schema.ts";

export { list, milliseconds, planRequest, planUpstream, type AnswerPlan, type Chunk, type HeaderPairs, type PeerPlan, type RequestPlan, type SenderPlan, type UpstreamPlan } from "./messages.ts";
export { planConnection, type Act, type ConnectionPlan, type ConnectionSeen } from "./connections.ts";

export interface StepPlan {
  /** Time to let pass before the request. */
  waitMs: number;
  /** With neither a request nor a connection, only time passes. */
  request?: RequestSpec;
  connection?: ConnectionSpec;
  upstream: UpstreamPlan;
  /** What the upstream does on a connection. */
  script: Act[];
  /** What the clusters that the filter calls out to answer, by name. */
  clusters: ClustersSpec;
  repeat: number;
  expect: ExpectSpec;
  /** Where a field of this step stands. */
  at: (...path: (string | number)[]) => Position;
}

/** One case, or one row of a case's table: a filter of its own, and what it goes through. */
export interface CasePlan {
  /** Unique in a run. */
  id: number;
  file: string;
  name: string;
  where: Position;
  engines: readonly EngineName[];
  because?: string;
  /** Name of the filter, for reports. */
  filter: string;
  /** Path of the module. */
  module: string;
  rootId: string;
  /** Exactly what the plugin gets. */
  config: string;
  routes: RoutesSpec;
  steps: StepPlan[];
  /** The configuration must be refused with a message that contains this. */
  configurationError?: string;
}

/** One request and what came of it. */
export interface Exchange {
  /** Undefined: no answer. */
  status: number | undefined;
  headers: HeaderPairs;
  body: Uint8Array;
  trailers: HeaderPairs;
  /** The client got the whole answer. */
  complete: boolean;
  /** A filter or the proxy answered: why. */
  details: string | undefined;
  /** The route that the request took in the end; undefined: none. */
  route: string | undefined;
  /** The request as the upstream got it; undefined: it didn't. */
  upstream: { method: string; path: string; headers: HeaderPairs; body: Uint8Array; trailers: HeaderPairs } | undefined;
}

/** A call that the filter made, as the cluster got it. */
export interface CallSeen {
  cluster: string;
  method: string;
  path: string;
  headers: HeaderPairs;
  body: Uint8Array;
  trailers: HeaderPairs;
  /** `package.Service/Method` of a gRPC call; its messages are in the body, each behind its length. */
  rpc?: string;
}

export interface MetricChange {
  kind: "counter" | "gauge" | "histogram";
  /** As the module named it, labels included. */
  name: string;
  /** Growth of a counter or gauge, number of new values of a histogram. */
  delta: number;
  /** Value of a counter or gauge afterwards. */
  value: number;
  /** New values of a histogram: each as the narrowest range that the engine can tell, [v, v] where it knows. */
  values: [number, number][];
}

export interface StepObservation {
  exchanges: Exchange[];
  connections: ConnectionSeen[];
  /** In the order in which they were made. */
  calls: CallSeen[];
  /** Those that changed. */
  metrics: MetricChange[];
  logs: string[];
  timeMs: number;
}

export interface CaseObservation {
  /** The module refused its configuration, with this message. */
  configurationError?: string;
  /** The module trapped: why, and where in its source. */
  trap?: string;
  /** What the host noticed that Envoy does without a word: a likely reason where a case fails. */
  remarks?: string[];
  /** On the host: what the module did that crashes Envoy. */
  crash?: string;
  steps: StepObservation[];
}

/** Clusters that the steps of a case declare, each with what it is called by, where its answers tell. */
export function clustersOf(plan: CasePlan): Map<string, "grpc" | "http" | undefined> {
  const all = new Map<string, "grpc" | "http" | undefined>();
  for (const { clusters } of plan.steps) {
    for (const [name, answers] of Object.entries(clusters)) {
      const kinds = [answers].flat().map(({ grpc, when, fail }) => (grpc !== undefined || when?.rpc !== undefined ? "grpc" : fail === undefined ? "http" : undefined));
      all.set(name, kinds.find((kind) => kind !== undefined) ?? all.get(name));
    }
  }
  return all;
}
