/** What a case asks an engine to do, with every default filled in, and what the engine saw. The same for both engines. */
import type { Position } from "../errors.ts";
import type { EngineName, ExpectSpec, HeadersSpec, RequestSpec, RoutesSpec, UpstreamSpec } from "./schema.ts";
import { substitute } from "./table.ts";

export type HeaderPairs = [name: string, value: string][];

export interface StepPlan {
  /** Time to let pass before the request. */
  waitMs: number;
  /** Undefined: only time passes. */
  request?: RequestSpec;
  upstream: UpstreamPlan;
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

/** The client's certificate. */
export interface PeerPlan {
  uriSans: string[];
}

export interface RequestPlan {
  method: string;
  path: string;
  host: string;
  headers: HeaderPairs;
  /** Chunks; empty: no body. */
  body: string[];
  trailers: HeaderPairs;
  tls: boolean;
  sni?: string;
  peer?: PeerPlan;
  source: string;
  direct: string;
  destination?: { address: string; port: number };
  route: string | null;
  metadata?: Record<string, unknown>;
  properties: Record<string, unknown>;
}

export interface UpstreamPlan {
  status: number;
  headers: HeaderPairs;
  body: string[];
  delayMs: number;
  reset: boolean;
}

/** One request and what came of it. */
export interface Exchange {
  /** Undefined: no answer. */
  status: number | undefined;
  headers: HeaderPairs;
  body: string;
  /** A filter or the proxy answered: why. */
  details: string | undefined;
  /** The route that the request took in the end; undefined: none. */
  route: string | undefined;
  /** The request as the upstream got it; undefined: it didn't. */
  upstream: { method: string; path: string; headers: HeaderPairs; body: string } | undefined;
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
  steps: StepObservation[];
}

/** Milliseconds of `50ms` or `2s`. */
export function milliseconds(duration: string): number {
  return duration.endsWith("ms") ? Number(duration.slice(0, -2)) : Number(duration.slice(0, -1)) * 1000;
}

/** The n-th of a step's requests. */
export function planRequest(spec: RequestSpec, n: number): RequestPlan {
  const request = substitute(spec, { n: String(n) }) as RequestSpec;
  const body = list(request.body);
  const headers = pairs(request.headers);
  const trailers = pairs(request.trailers);
  const has = (name: string): boolean => headers.some(([each]) => each === name);
  const chunked = Array.isArray(request.body) || trailers.length > 0;
  if (chunked && !has("transfer-encoding")) headers.push(["transfer-encoding", "chunked"]);
  else if (body.length > 0 && !has("content-length") && !has("transfer-encoding")) headers.push(["content-length", String(bytesIn(body))]);
  const peer = request.peer === undefined ? undefined : { uriSans: list(request.peer) };
  const source = request.source ?? "127.0.0.1";
  return {
    method: request.method ?? "GET",
    path: request.path ?? "/",
    host: request.host ?? "example.test",
    headers,
    body,
    trailers,
    tls: peer !== undefined || request.sni !== undefined || request.tls === true,
    sni: request.sni,
    peer,
    source,
    direct: request.direct ?? (source.startsWith("127.") ? source : "127.0.0.1"),
    destination: request.destination === undefined ? undefined : endpoint(request.destination),
    route: request.route === undefined ? "default" : request.route,
    ...(request.metadata && { metadata: request.metadata }),
    properties: request.properties ?? {},
  };
}

/** The answer, framed as an HTTP/1.1 server frames it. */
export function planUpstream(spec: UpstreamSpec = {}): UpstreamPlan {
  const status = spec.status ?? 200;
  const body = list(spec.body);
  const headers = pairs(spec.headers);
  const bodiless = status < 200 || status === 204 || status === 304;
  if (!bodiless && !headers.some(([name]) => name === "content-length" || name === "transfer-encoding")) {
    headers.push(Array.isArray(spec.body) ? ["transfer-encoding", "chunked"] : ["content-length", String(bytesIn(body))]);
  }
  return { status, headers, body, delayMs: spec.delay === undefined ? 0 : milliseconds(spec.delay), reset: spec.reset === true };
}

/** Names in lower case, as both engines show them to a filter. */
function pairs(headers: HeadersSpec | undefined): HeaderPairs {
  if (headers === undefined) return [];
  const all: HeaderPairs = Array.isArray(headers)
    ? headers.map(([name, value]) => [name, value])
    : Object.entries(headers).flatMap(([name, value]) => list(value).map((each): [string, string] => [name, each]));
  return all.map(([name, value]) => [name.toLowerCase(), value]);
}

export function list(value: string | string[] | undefined): string[] {
  return value === undefined ? [] : Array.isArray(value) ? value : [value];
}

function bytesIn(body: string[]): number {
  return body.reduce((sum, chunk) => sum + Buffer.byteLength(chunk), 0);
}

function endpoint(text: string): { address: string; port: number } {
  const colon = text.lastIndexOf(":");
  return { address: text.slice(0, colon).replace(/^\[(.*)\]$/, "$1"), port: Number(text.slice(colon + 1)) };
}
