/** What a conformance scenario is: a probe, how it is configured, and the traffic that it sees on both engines. */

export interface ScenarioResponse {
  status?: number;
  headers?: [string, string][];
  /** Chunks arrive one after the other. */
  body?: string[];
  trailers?: [string, string][];
  delayMs?: number;
  /** The upstream closes the connection instead of answering. */
  reset?: boolean;
}

export interface ScenarioRequest {
  method?: string;
  path: string;
  headers?: [string, string][];
  /** Chunks arrive one after the other. */
  body?: string[];
  trailers?: [string, string][];
  response?: ScenarioResponse;
  /** Time that passes before it is sent. */
  waitMs?: number;
  /** The stream is expected to hang; the client gives up after this time. */
  giveUpMs?: number;
}

export interface Scenario {
  /** Name of the scenario, of its plugin, root context and VM. */
  id: string;
  /** File in probes/, without .wat; the id by default. */
  probe?: string;
  config?: string;
  vmConfig?: string;
  environment?: Record<string, string>;
  capabilities?: string[];
  failurePolicy?: "FAIL_CLOSED" | "FAIL_OPEN" | "FAIL_RELOAD";
  /** The older `fail_open`. */
  failOpen?: boolean;
  allowHeadersStopIteration?: boolean;
  bufferLimit?: number;
  /** VM that it shares with another scenario: that one's id. */
  sharesVmWith?: string;
  requests?: ScenarioRequest[];
  /** All requests come on one connection. */
  oneConnection?: boolean;
  /** Time that passes after the requests: ticks and answers. */
  afterMs?: number;
}

/** Observations by name: what a module logged about it, in order; and what client and upstream saw. */
export type Observations = Map<string, string[]>;

export function observe(observations: Observations, name: string, value: string): void {
  const list = observations.get(name);
  if (list === undefined) observations.set(name, [value]);
  else list.push(value);
}

/** `P|name|a|b` as name and value; undefined for other log lines. */
export function parseLine(message: string): { name: string; value: string } | undefined {
  const match = /^P\|([^|]*)\|?(.*)$/s.exec(message);
  return match === null ? undefined : { name: match[1]!, value: match[2]! };
}

/** Headers that are compared at the two far ends: those that no engine adds by itself. */
export function comparableHeaders(headers: readonly (readonly [string, string])[]): string {
  return headers
    .filter(([name]) => (name.startsWith("x-") && !/^x-(envoy|forwarded|request-id|case)/.test(name)) || ["content-type", "grpc-status", "grpc-message", "location", "set-cookie", "a", "c", "e", "k", "key"].includes(name))
    .map(([name, value]) => `${name}=${value}`)
    .join(" ");
}

/** What a client notes that gave up, or whose connection broke: Envoy resets HTTP/1 streams sometimes this way, sometimes that. */
export const NO_ANSWER = "no answer";
