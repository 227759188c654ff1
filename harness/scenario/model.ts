/** A Scenario with its references resolved: what the run needs, as plain data. */
import type { UpstreamSpec } from "./schema.ts";

export interface WorkloadIdentity {
  /** `namespace/name`. */
  id: string;
  name: string;
  namespace: string;
  spiffeId: string;
  /** Holds its tls.crt, tls.key and ca.crt. */
  directory: string;
}

/** The listener that the traffic goes to. */
export interface Target {
  address: string;
  port: number;
  tls: boolean;
  /** Clients must show a certificate. */
  mutualTls: boolean;
}

export interface UpstreamModel {
  /** `namespace/name` of the Backend. */
  id: string;
  endpoints: { address: string; port: number }[];
  latency?: UpstreamSpec["latency"];
  errors?: UpstreamSpec["errors"];
  bodyBytes: number;
}

export interface ArmExpectation {
  name: string;
  /** `namespace/name` of the Backend that answers for it. */
  backend: string;
  weight: number;
}

export interface CanaryTraffic {
  /** Name of the rule's route. */
  route: string;
  arms: ArmExpectation[];
  /** Whether a user must stay on an arm. */
  sticky: boolean;
  users: number;
  requestsPerUser: number;
}

export type Outcome = "allow" | "deny" | "refuse";

export interface TrafficModel {
  /** Undefined: no client certificate. */
  from?: WorkloadIdentity;
  method: string;
  host: string;
  path: string;
  headers: Record<string, string>;
  bodyBytes: number;
  /** Requests in all. */
  count: number;
  concurrency: number;
  expect?: Outcome;
  by?: string;
  canary?: CanaryTraffic;
}

export interface Scenario {
  name: string;
  /** The YAML file, as the folder was named. */
  file: string;
  trustDomain: string;
  target: Target;
  workloads: WorkloadIdentity[];
  upstreams: UpstreamModel[];
  traffic: TrafficModel[];
}
