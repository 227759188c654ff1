/** Compares what an engine saw with what a case expects. Pure. */
import type { Position } from "../errors.ts";
import { select, showMetric, valuesMatch } from "./metrics.ts";
import { list, milliseconds, type CaseObservation, type CasePlan, type Exchange, type HeaderPairs, type StepObservation, type StepPlan } from "./plan.ts";
import type { ExpectSpec, MetricSpec } from "./schema.ts";

/** One thing that isn't as expected. */
export interface Mismatch {
  where: Position;
  /** `expect.status`, and which request it was where there are several. */
  what: string;
  expected: string;
  got: string;
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

type Differ = (path: (string | number)[], expected: unknown, got: unknown) => void;

function checkExchange(expect: ExpectSpec, exchange: Exchange, route: string | null, differ: Differ): void {
  if (expect.status !== undefined && expect.status !== exchange.status) differ(["status"], expect.status, `${exchange.status ?? "no answer"}${exchange.details === undefined ? "" : ` (${exchange.details})`}`);
  if (expect.headers) checkHeaders(expect.headers, exchange.headers, (name, expected, got) => differ(["headers", name], expected, got));
  if (expect.body !== undefined && expect.body !== exchange.body) differ(["body"], expect.body, exchange.body);
  const contains = expect["body-contains"];
  if (contains !== undefined && !exchange.body.includes(contains)) differ(["body-contains"], contains, exchange.body);
  if (expect.denied !== undefined) checkDenied(expect.denied, exchange, differ);
  if (expect.route !== undefined && (expect.route ?? undefined) !== exchange.route) differ(["route"], expect.route ?? "none", exchange.route ?? "none");
  if (expect.arm !== undefined && expect.arm !== armOf(exchange, route)) differ(["arm"], expect.arm, armOf(exchange, route) ?? `route ${exchange.route ?? "none"}`);
  if (expect.upstream) {
    const { upstream } = exchange;
    if (!upstream) return differ(["upstream"], "a request", "none");
    if (expect.upstream.headers) checkHeaders(expect.upstream.headers, upstream.headers, (name, expected, got) => differ(["upstream", "headers", name], expected, got));
    if (expect.upstream.body !== undefined && expect.upstream.body !== upstream.body) differ(["upstream", "body"], expect.upstream.body, upstream.body);
    if (expect.upstream.path !== undefined && expect.upstream.path !== upstream.path) differ(["upstream", "path"], expect.upstream.path, upstream.path);
  }
}

/** `prod/deny-all#0` stands for details that say so in brackets, as ours do. */
function checkDenied(expected: boolean | string, exchange: Exchange, differ: Differ): void {
  const { details } = exchange;
  if (expected === true && details === undefined) differ(["denied"], "an answer of a filter", exchange.status === undefined ? "no answer" : `${exchange.status} from the upstream`);
  if (expected === false && details !== undefined) differ(["denied"], "the upstream's answer", `${exchange.status} (${details})`);
  if (typeof expected !== "string" || details === expected || details?.endsWith(`[${expected}]`)) return;
  differ(["denied"], expected, details ?? (exchange.status === undefined ? "no answer" : `${exchange.status} from the upstream`));
}

function checkHeaders(expected: NonNullable<ExpectSpec["headers"]>, headers: HeaderPairs, differ: (name: string, expected: unknown, got: unknown) => void): void {
  for (const [name, value] of Object.entries(expected)) {
    const got = headers.filter(([each]) => each === name.toLowerCase()).map(([, each]) => each);
    const wanted = value === null ? [] : list(value);
    if (wanted.length !== got.length || wanted.some((each, index) => each !== got[index])) differ(name, value ?? "absent", got.length === 0 ? "absent" : got.length === 1 ? got[0] : got);
  }
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
