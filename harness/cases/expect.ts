/** Compares what an engine saw with what a case expects. Pure. */
import type { Position } from "../errors.ts";
import { select, showMetric, valuesMatch } from "./metrics.ts";
import { checkCalls } from "./calls.ts";
import { bytesOf } from "./connections.ts";
import { checkMessages, textOf, type Differ } from "./differ.ts";
import { headerMismatches, type ExpectedHeaders } from "./headers.ts";
import { list, milliseconds, type CaseObservation, type CasePlan, type ConnectionSeen, type Exchange, type HeaderPairs, type StepObservation, type StepPlan } from "./plan.ts";
import { decodeStatusText, showMessage } from "./grpc.ts";
import type { BytesSpec } from "./schema-connections.ts";
import type { ExpectSpec, MetricSpec } from "./schema.ts";

/** One thing that isn't as expected. */
export interface Mismatch {
  where: Position;
  /** `expect.status`, and which request it was where there are several. */
  what: string;
  expected: string;
  got: string;
  /** Of a snapshot: the lines that differ. */
  diff?: string;
}

/** The name of the arm that a request took: `stable` where it kept its route. */
export function armOf(exchange: Exchange, route: string | null): string | undefined {
  if (route === null || exchange.route === undefined) return undefined;
  if (exchange.route === route) return "stable";
  return exchange.route.startsWith(`${route}/`) ? exchange.route.slice(route.length + 1) : undefined;
}

export function checkCaseOutcome(plan: CasePlan, observation: CaseObservation): Mismatch[] {
  const { configurationError: expected } = plan;
  const got = observation.configurationError;
  if (expected !== undefined) {
    if (got !== undefined && got.includes(expected)) return [];
    return [{ where: plan.where, what: "configuration-error", expected: JSON.stringify(expected), got: got === undefined ? "the configuration was accepted" : JSON.stringify(got) }];
  }
  if (got !== undefined) return [{ where: plan.where, what: "config", expected: "a configuration that the filter accepts", got: JSON.stringify(got) }];
  return plan.steps.flatMap((step, index) => {
    const label = plan.steps.length > 1 ? `step ${index + 1}: ` : "";
    const seen = observation.steps[index];
    if (!seen) return [{ where: step.at(), what: `${label}request`, expected: "an answer", got: "nothing: the filter had failed before" }];
    return checkStep(step, seen).map((mismatch) => ({ ...mismatch, what: label + mismatch.what }));
  });
}

export function checkStep(step: StepPlan, seen: StepObservation): Mismatch[] {
  const { expect } = step;
  const mismatches: Mismatch[] = [];
  const differ = (path: (string | number)[], expected: unknown, got: unknown, suffix = ""): void => {
    mismatches.push({ where: step.at("expect", ...path), what: path.join(".") + suffix, expected: show(expected), got: show(got) });
  };
  seen.exchanges.forEach((exchange, n) => checkExchange(expect, exchange, step.request?.route ?? (step.request?.route === null ? null : "default"), (path, expected, got) => differ(path, expected, got, seen.exchanges.length > 1 ? ` of request ${n}` : "")));
  seen.connections.forEach((connection, n) => checkConnection(expect, connection, (path, expected, got) => differ(path, expected, got, seen.connections.length > 1 ? ` of connection ${n}` : "")));
  if (expect.calls) checkCalls(expect.calls, seen.calls, (path, expected, got) => differ(["calls", ...path], expected, got));
  if (expect.share) checkShare(expect.share, seen, step, differ);
  expect.metrics?.forEach((metric, index) => checkMetric(metric, seen, (field, expected, got) => differ(["metrics", index, ...field], expected, got)));
  for (const text of list(expect.logs)) if (!seen.logs.some((line) => line.includes(text))) differ(["logs"], text, seen.logs.length ? seen.logs : "no log line");
  for (const text of list(expect["no-logs"])) if (seen.logs.some((line) => line.includes(text))) differ(["no-logs"], `no line with ${text}`, seen.logs);
  if (expect.time) {
    const [least, most] = expect.time.map(milliseconds) as [number, number];
    if (seen.timeMs < least || seen.timeMs > most) differ(["time"], expect.time, `${Math.round(seen.timeMs)}ms`);
  }
  return summarized(mismatches);
}

function checkExchange(expect: ExpectSpec, exchange: Exchange, route: string | null, differ: Differ): void {
  if (expect.status !== undefined && expect.status !== exchange.status) differ(["status"], expect.status, `${exchange.status ?? "no answer"}${exchange.details === undefined ? "" : ` (${exchange.details})`}`);
  const body = textOf(exchange.body);
  checkHeaders(expect.headers, exchange.headers, ["headers"], differ);
  checkHeaders(expect.trailers, exchange.trailers, ["trailers"], differ);
  if (expect.body !== undefined && expect.body !== body) differ(["body"], expect.body, body);
  const contains = expect["body-contains"];
  if (contains !== undefined && !body.includes(contains)) differ(["body-contains"], contains, body);
  if (expect.grpc) checkGrpc(expect.grpc, exchange, differ);
  if (expect.complete !== undefined && expect.complete !== exchange.complete) differ(["complete"], expect.complete, exchange.complete ? "the whole answer" : exchange.status === undefined ? "no answer" : "a part of the answer");
  if (expect.denied !== undefined) checkDenied(expect.denied, exchange, differ);
  if (expect.route !== undefined && (expect.route ?? undefined) !== exchange.route) differ(["route"], expect.route ?? "none", exchange.route ?? "none");
  if (expect.arm !== undefined && expect.arm !== armOf(exchange, route)) differ(["arm"], expect.arm, armOf(exchange, route) ?? `route ${exchange.route ?? "none"}`);
  if (expect.upstream) checkUpstream(expect.upstream, exchange.upstream, (path, expected, got) => differ(["upstream", ...path], expected, got));
}

function checkConnection(expect: ExpectSpec, { received, closed, upstream }: ConnectionSeen, differ: Differ): void {
  checkBytes(expect.received, received, ["received"], differ);
  if (expect.closed !== undefined && expect.closed !== closed) differ(["closed"], `by the ${expect.closed}`, `by the ${closed}`);
  checkBytes(expect.upstream?.received, upstream.received, ["upstream", "received"], differ);
  const wanted = expect.upstream?.connected;
  if (wanted !== undefined && wanted !== upstream.connected) differ(["upstream", "connected"], wanted, upstream.connected);
}

function checkBytes(expected: BytesSpec | undefined, got: Uint8Array, path: string[], differ: Differ): void {
  if (expected === undefined) return;
  const wanted = bytesOf(expected);
  if (Buffer.compare(wanted, got) !== 0) differ(path, showBytes(wanted), showBytes(got));
}

const showBytes = (bytes: Uint8Array): string => (bytes.length === 0 ? "nothing" : showMessage(bytes));

function checkUpstream(expect: NonNullable<ExpectSpec["upstream"]>, upstream: Exchange["upstream"], differ: Differ): void {
  if (!upstream) return differ([], "a request", "none");
  checkHeaders(expect.headers, upstream.headers, ["headers"], differ);
  checkHeaders(expect.trailers, upstream.trailers, ["trailers"], differ);
  if (expect.body !== undefined && expect.body !== textOf(upstream.body)) differ(["body"], expect.body, textOf(upstream.body));
  if (expect.path !== undefined && expect.path !== upstream.path) differ(["path"], expect.path, upstream.path);
  checkMessages(expect.messages, upstream.body, ["messages"], differ);
}

function checkGrpc(expect: NonNullable<ExpectSpec["grpc"]>, { headers, body, trailers }: Exchange, differ: Differ): void {
  const find = (name: string): string | undefined => [...trailers, ...headers].find(([each]) => each === name)?.[1];
  const status = find("grpc-status");
  if (expect.status !== undefined && String(expect.status) !== status) differ(["grpc", "status"], expect.status, status ?? "no grpc-status");
  const message = decodeStatusText(find("grpc-message") ?? "");
  if (expect.message !== undefined && expect.message !== message) differ(["grpc", "message"], expect.message, message);
  checkMessages(expect.messages, body, ["grpc", "messages"], differ);
}

/** `prod/deny-all#0` stands for details that say so in brackets, as ours do. */
function checkDenied(expected: boolean | string, exchange: Exchange, differ: Differ): void {
  const { details } = exchange;
  if (expected === true && details === undefined) differ(["denied"], "an answer of a filter", exchange.status === undefined ? "no answer" : `${exchange.status} from the upstream`);
  if (expected === false && details !== undefined) differ(["denied"], "the upstream's answer", `${exchange.status} (${details})`);
  if (typeof expected !== "string" || details === expected || details?.endsWith(`[${expected}]`)) return;
  differ(["denied"], expected, details ?? (exchange.status === undefined ? "no answer" : `${exchange.status} from the upstream`));
}

function checkHeaders(expected: ExpectedHeaders | undefined, headers: HeaderPairs, path: string[], differ: Differ): void {
  for (const { name, expected: value, got } of headerMismatches(expected ?? {}, headers)) differ([...path, name], value, got);
}

function checkShare(share: NonNullable<ExpectSpec["share"]>, seen: StepObservation, step: StepPlan, differ: Differ): void {
  const counts = countArms(seen, step);
  for (const [arm, [least, most]] of Object.entries(share)) {
    const part = (counts.get(arm) ?? 0) / seen.exchanges.length;
    if (part < least || part > most) differ(["share", arm], `${least} to ${most}`, part);
  }
}

/** How many of a step's requests took each arm. */
export function countArms(seen: StepObservation, step: StepPlan): Map<string, number> {
  const counts = new Map<string, number>();
  const route = step.request?.route === undefined ? "default" : step.request.route;
  for (const exchange of seen.exchanges) {
    const arm = armOf(exchange, route) ?? "none";
    counts.set(arm, (counts.get(arm) ?? 0) + 1);
  }
  return counts;
}

function checkMetric(metric: MetricSpec, { metrics }: StepObservation, differ: Differ): void {
  const series = select(metrics, metric);
  const sum = series.reduce((total, { delta }) => total + delta, 0);
  const others = (): string => {
    const near = metrics.map(({ name, delta }) => `${showMetric(name)} +${delta}`);
    return `${sum}; what changed: ${near.length ? near.join(", ") : "nothing"}`;
  };
  if (metric.delta !== undefined && metric.delta !== sum) differ(["delta"], metric.delta, others());
  if (metric.count !== undefined && metric.count !== sum) differ(["count"], metric.count, others());
  if (metric.value !== undefined) {
    const value = series.reduce((total, each) => total + each.value, 0);
    if (metric.value !== value) differ(["value"], metric.value, value);
  }
  if (metric.values && !valuesMatch(metric.values, series.flatMap(({ values }) => values))) differ(["values"], metric.values, series.flatMap(({ values }) => values.map(([a, b]) => (a === b ? `${a}` : `${a}–${b}`))));
}

function show(value: unknown): string {
  return typeof value === "string" ? value : JSON.stringify(value);
}

/** A thousand requests that fail alike are one piece of news. */
function summarized(mismatches: Mismatch[]): Mismatch[] {
  return mismatches.length <= 5 ? mismatches : [...mismatches.slice(0, 5), { ...mismatches[5]!, what: "more", expected: "no other difference", got: `${mismatches.length - 5} more` }];
}
