/** What a snapshot holds of a step: as plain data that is the same on both engines and in every run. Pure. */
import { describeCall } from "./calls.ts";
import { textOf } from "./differ.ts";
import { isGrpc, showMessage, unframe } from "./grpc.ts";
import { showMetric } from "./metrics.ts";
import type { CallSeen, ConnectionSeen, Exchange, HeaderPairs, StepObservation, StepPlan } from "./plan.ts";
import { SNAPSHOT_PARTS, type SnapshotPart, type SnapshotSpec } from "./schema.ts";

/** What proxies and servers add by themselves, and what only frames a message: none of it is the filter's doing. */
const OMITTED = new Set(`date server host connection keep-alive transfer-encoding x-envoy-upstream-service-time x-envoy-expected-rq-timeout-ms
  x-envoy-internal x-envoy-attempt-count x-forwarded-for x-forwarded-proto x-envoy-external-address`.split(/\s+/));
const OMITTED_OF_CALLS = new Set([...OMITTED, "content-length"]);
const OMITTED_OF_GRPC_CALLS = new Set([...OMITTED_OF_CALLS, "te", "content-type", "grpc-timeout"]);
/** Different each time. */
const RANDOM = new Set(["x-request-id", "traceparent", "x-b3-traceid", "x-b3-spanid"]);

/** Volatile wherever it stands: dates, times, UUIDs. */
const VOLATILE: readonly [RegExp, string][] = [
  [/\d{4}-\d{2}-\d{2}[T ]\d{2}:\d{2}:\d{2}(\.\d+)?(Z|[+-]\d{2}:?\d{2})?/g, "<time>"],
  [/(Mon|Tue|Wed|Thu|Fri|Sat|Sun), \d{2} \w{3} \d{4} \d{2}:\d{2}:\d{2} GMT/g, "<time>"],
  [/\b[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b/gi, "<uuid>"],
];

export function partsOf(spec: SnapshotSpec): readonly SnapshotPart[] {
  const of = typeof spec === "object" && !Array.isArray(spec) ? (spec.of ?? true) : spec;
  return of === true ? SNAPSHOT_PARTS : SNAPSHOT_PARTS.filter((part) => of.includes(part));
}

/** Texts without what `mask` matches; where an expression has a group, only the group goes. */
function masker(spec: SnapshotSpec): (text: string) => string {
  const own = typeof spec === "object" && !Array.isArray(spec) ? spec.mask.map((source) => new RegExp(source, "gd")) : [];
  return (text) => {
    let masked = text;
    for (const expression of own) {
      masked = masked.replace(expression, (...match: unknown[]) => {
        const [whole, group] = match as [string, unknown];
        return typeof group === "string" && group !== "" ? whole.replace(group, "<…>") : "<…>";
      });
    }
    for (const [expression, name] of VOLATILE) masked = masked.replace(expression, name);
    return masked;
  };
}

/** The step as it is stored. */
export function snapshotOf({ expect: { snapshot } }: StepPlan, seen: StepObservation): Record<string, unknown> {
  const mask = masker(snapshot!);
  const only = seen.exchanges.length === 1;
  const parts: Record<SnapshotPart, () => Record<string, unknown>> = {
    response: () => (seen.connections.length > 0 ? { connections: seen.connections.map((each) => connectionOf(each, mask)) } : only ? { response: responseOf(seen.exchanges[0]!, mask) } : { responses: seen.exchanges.map((each) => responseOf(each, mask)) }),
    upstream: () => (seen.connections.length > 0 ? { upstreams: seen.connections.map(({ upstream }) => mask(showMessage(upstream.received))) } : only ? { upstream: upstreamOf(seen.exchanges[0]!, mask) } : { upstreams: seen.exchanges.map((each) => upstreamOf(each, mask)) }),
    calls: () => ({ calls: seen.calls.map((call) => callOf(call, mask)) }),
    metrics: () => ({ metrics: seen.metrics.map(({ kind, name, delta }) => mask(`${showMetric(name)} ${kind === "histogram" ? `${delta} value${delta === 1 ? "" : "s"}` : `${delta < 0 ? "" : "+"}${delta}`}`)).sort() }),
    logs: () => ({ logs: seen.logs.map(mask) }),
  };
  const all = partsOf(snapshot!).map((part) => parts[part]());
  // Where no request was sent there is nothing to say of one; what isn't there isn't listed.
  return Object.fromEntries(all.flatMap((each) => Object.entries(each)).filter(([, value]) => !(Array.isArray(value) && value.length === 0)));
}

function responseOf(exchange: Exchange, mask: (text: string) => string): Record<string, unknown> {
  const { status, headers, body, trailers, complete, details, route } = exchange;
  return {
    status: status ?? "none",
    ...(details !== undefined && { denied: mask(details.replace(/[{|].*$/s, "")) }),
    ...(route !== undefined && { route }),
    ...message(headers, body, trailers, OMITTED, mask),
    ...(!complete && { complete }),
  };
}

function connectionOf({ received, closed }: ConnectionSeen, mask: (text: string) => string): Record<string, unknown> {
  return { received: mask(showMessage(received)), closed };
}

function upstreamOf({ upstream }: Exchange, mask: (text: string) => string): unknown {
  if (!upstream) return "not reached";
  return { request: `${upstream.method} ${mask(upstream.path)}`, ...message(upstream.headers, upstream.body, upstream.trailers, OMITTED, mask) };
}

function callOf(call: CallSeen, mask: (text: string) => string): Record<string, unknown> {
  return { call: mask(describeCall(call)), ...message(call.headers, call.body, call.trailers, call.rpc === undefined ? OMITTED_OF_CALLS : OMITTED_OF_GRPC_CALLS, mask, call.rpc !== undefined) };
}

function message(headers: HeaderPairs, body: Uint8Array, trailers: HeaderPairs, omitted: ReadonlySet<string>, mask: (text: string) => string, grpc = isGrpc(headers)): Record<string, unknown> {
  const lines = (pairs: HeaderPairs): string[] => pairs.filter(([name]) => !omitted.has(name)).map(([name, value]) => `${name}: ${RANDOM.has(name) ? "<…>" : mask(value)}`).sort(byName);
  const messages = grpc ? unframe(body) : undefined;
  const [head, tail] = [lines(headers), lines(trailers)];
  return {
    ...(head.length > 0 && { headers: head }),
    ...(messages ? messages.length > 0 && { messages: messages.map((each) => mask(showMessage(each))) } : body.length > 0 && { body: mask(textOf(body)) }),
    ...(tail.length > 0 && { trailers: tail }),
  };
}

/** By name; values of one name keep their order. */
function byName(a: string, b: string): number {
  const [left, right] = [a.slice(0, a.indexOf(":")), b.slice(0, b.indexOf(":"))];
  return left < right ? -1 : left > right ? 1 : 0;
}

/** Lines that went (-) and came (+), with those around them. */
export function diffLines(before: string, after: string, context = 3): string {
  const [a, b] = [before.split("\n"), after.split("\n")];
  // Lengths of common subsequences from each pair of places on; texts of this size are small.
  const common = Array.from({ length: a.length + 1 }, () => new Uint32Array(b.length + 1));
  for (let i = a.length - 1; i >= 0; i--) for (let j = b.length - 1; j >= 0; j--) common[i]![j] = a[i] === b[j] ? common[i + 1]![j + 1]! + 1 : Math.max(common[i + 1]![j]!, common[i]![j + 1]!);
  const lines: string[] = [];
  for (let i = 0, j = 0; i < a.length || j < b.length; ) {
    if (i < a.length && j < b.length && a[i] === b[j]) {
      lines.push(`  ${a[i]}`);
      i++;
      j++;
    } else if (i < a.length && (j === b.length || common[i + 1]![j]! >= common[i]![j + 1]!)) lines.push(`- ${a[i++]}`);
    else lines.push(`+ ${b[j++]}`);
  }
  const near = (index: number): boolean => lines.slice(Math.max(0, index - context), index + context + 1).some((line) => !line.startsWith("  "));
  return lines.flatMap((line, index) => (near(index) ? [line] : near(index - 1) ? ["  …"] : [])).join("\n");
}
