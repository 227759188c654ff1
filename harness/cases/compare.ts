/** The same case on two engines: where they decide differently. Pure. */
import { describeCall } from "./calls.ts";
import { showMessage } from "./grpc.ts";
import { armOf } from "./expect.ts";
import { showMetric } from "./metrics.ts";
import type { CaseObservation, CasePlan, Exchange, StepObservation, StepPlan } from "./plan.ts";

export interface Difference {
  what: string;
  host: string;
  envoy: string;
}

/** Decision by decision: status, details, arm, metrics. Empty: they agree. */
export function compareObservations(plan: CasePlan, host: CaseObservation, envoy: CaseObservation): Difference[] {
  if ((host.configurationError === undefined) !== (envoy.configurationError === undefined)) {
    return [{ what: "configuration", host: host.configurationError ?? "accepted", envoy: envoy.configurationError ?? "accepted" }];
  }
  return plan.steps.flatMap((step, index) => {
    const label = plan.steps.length > 1 ? `step ${index + 1}: ` : "";
    const [a, b] = [host.steps[index], envoy.steps[index]];
    if (!a || !b) return a === b ? [] : [{ what: `${label}step`, host: a ? "ran" : "didn't run", envoy: b ? "ran" : "didn't run" }];
    return compareStep(step, a, b).map((difference) => ({ ...difference, what: label + difference.what }));
  });
}

function compareStep(step: StepPlan, host: StepObservation, envoy: StepObservation): Difference[] {
  const differences: Difference[] = [];
  const compare = (what: string, a: unknown, b: unknown): void => {
    const [left, right] = [a, b].map((value) => (value === undefined ? "none" : String(value))) as [string, string];
    if (left !== right) differences.push({ what, host: left, envoy: right });
  };
  // Lots are drawn: each engine has its own, and only the shares are held against the case.
  const drawn = step.expect.share !== undefined;
  const route = step.request?.route === undefined ? "default" : step.request.route;
  host.exchanges.forEach((a, n) => {
    const b = envoy.exchanges[n];
    const of = host.exchanges.length > 1 ? ` of request ${n}` : "";
    compare(`status${of}`, a.status, b?.status);
    compare(`whole answer${of}`, a.complete, b?.complete);
    compare(`trailers${of}`, trailersOf(a), b && trailersOf(b));
    compare(`details${of}`, detailsOf(a), b && detailsOf(b));
    compare(`reached the upstream${of}`, a.upstream !== undefined, b?.upstream !== undefined);
    if (!drawn) compare(`arm${of}`, armOf(a, route), b && armOf(b, route));
  });
  host.connections.forEach((a, n) => {
    const b = envoy.connections[n];
    const of = host.connections.length > 1 ? ` of connection ${n}` : "";
    compare(`end${of}`, a.closed, b?.closed);
    compare(`connected to the upstream${of}`, a.upstream.connected, b?.upstream.connected);
    compare(`bytes to the client${of}`, showMessage(a.received), b && showMessage(b.received));
    compare(`bytes to the upstream${of}`, showMessage(a.upstream.received), b && showMessage(b.upstream.received));
  });
  if (!drawn) compareCalls(host, envoy, compare);
  if (!drawn) compareMetrics(host, envoy, compare);
  return differences;
}

const trailersOf = ({ trailers }: Exchange): string | undefined => (trailers.length === 0 ? undefined : trailers.map(([name, value]) => `${name}: ${value}`).sort().join(", "));

/** Two calls under way at the same time may arrive in any order: what counts is which there were. */
function compareCalls(host: StepObservation, envoy: StepObservation, compare: (what: string, a: unknown, b: unknown) => void): void {
  const count = ({ calls }: StepObservation): Map<string, number> => {
    const counts = new Map<string, number>();
    for (const call of calls) {
      const name = `${describeCall(call)}${call.body.length ? ` with ${showMessage(call.body)}` : ""}`;
      counts.set(name, (counts.get(name) ?? 0) + 1);
    }
    return counts;
  };
  const [a, b] = [count(host), count(envoy)];
  for (const name of new Set([...a.keys(), ...b.keys()])) compare(`calls of ${name}`, a.get(name) ?? 0, b.get(name) ?? 0);
}

function compareMetrics(host: StepObservation, envoy: StepObservation, compare: (what: string, a: unknown, b: unknown) => void): void {
  const deltas = (seen: StepObservation): Map<string, number> => new Map(seen.metrics.map(({ name, delta }) => [name, delta]));
  const [a, b] = [deltas(host), deltas(envoy)];
  for (const name of new Set([...a.keys(), ...b.keys()])) compare(`metric ${showMetric(name)}`, `+${a.get(name) ?? 0}`, `+${b.get(name) ?? 0}`);
}

/** Envoy tells more about a broken upstream than there is on the host, such as the reason that the transport gave. */
function detailsOf({ details }: Exchange): string | undefined {
  return details?.replace(/[{|].*$/s, "");
}
