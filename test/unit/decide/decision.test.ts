/** What the verbs say of random policies, held to the module and to the plain evaluator. */
import fc from "fast-check";
import { beforeAll, expect, test } from "vitest";
import { allConditions, rulesOf } from "../../../harness/decide/conditions.ts";
import { CONNECTION } from "../../../harness/decide/node.ts";
import { Probes } from "../../../harness/decide/probes.ts";
import { attributesOf, favouring } from "../../../harness/decide/variants.ts";
import { explain } from "../../../harness/explain/explain.ts";
import { reach } from "../../../harness/reach/reach.ts";
import { configurations } from "../authz/arbitraries.ts";
import { decide, type Configuration } from "../authz/oracle.ts";
import { authzModule, nodeOf, plain, requests, routes } from "./support.ts";

const RUNS = Number(process.env["AUTHZ_FUZZ_RUNS"] ?? 80);
let code: Uint8Array;
beforeAll(async () => {
  code = await authzModule();
});

/** Requests below the path of a route, so that they take it. */
const routed = fc.tuple(requests, routes).map(([request, route]) => ({ route, request: { ...request, path: `/${route ?? "node"}${request.path.startsWith("/") ? request.path : "/"}` } }));
const several = fc.array(routed, { minLength: 1, maxLength: 8, size: "max" });

test("the module on the host decides as the plain evaluator does, and names the same rule, on trial too", () => {
  fc.assert(fc.property(configurations, several, (random, list) => {
    const { gateway, configuration } = nodeOf(code, random);
    for (const { request, route } of list) {
      const { allowed, rule, dryRun } = gateway.decide(request, route);
      const wanted = decide(configuration, plain(request, route));
      expect({ allowed, rule: rule ? `${rule.policy}#${rule.rule}` : "none" }).toEqual(wanted);
      if (dryRun) expect(dryRun.allowed).toBe(decide(configuration, plain(request, route), true).allowed);
    }
    gateway.close();
  }), { numRuns: RUNS });
});

test("so it does on connections, and an explanation names what decides and what the nearest rules lack", () => {
  const connections = fc.array(requests.map((request) => ({ ...request, ...CONNECTION })), { minLength: 1, maxLength: 8, size: "max" });
  const random = configurations.filter(({ policies }) => policies.every(({ spec }) => spec.action !== "CUSTOM"));
  fc.assert(fc.property(random, connections, (each, list) => {
    const { node, gateway, configuration } = nodeOf(code, each, "tcp");
    for (const request of list) {
      const { allowed, rule } = gateway.decide(request, undefined);
      expect({ allowed, rule: rule ? `${rule.policy}#${rule.rule}` : "none" }).toEqual(decide(configuration, plain(request, undefined)));
      const arrival = { kind: "arrived" as const, listener: gateway.listeners[0]!, chain: gateway.chain!, gateway, route: undefined, workload: gateway.self, request };
      const explanation = explain(node, arrival, request, { nearest: 100 });
      expect([explanation.verdict, explanation.by?.name]).toEqual([allowed ? "allow" : "deny", rule && `${rule.policy}#${rule.rule}`]);
      for (const near of explanation.nearest) expect(near.failed.length).toBeGreaterThan(0);
    }
    gateway.close();
  }), { numRuns: Math.ceil(RUNS / 2) });
});

test("each condition holds as the plain evaluator says of it alone", () => {
  fc.assert(fc.property(configurations, several, (random, list) => {
    const { gateway, configuration } = nodeOf(code, random);
    const conditions = gateway.policies.flatMap((policy) => rulesOf(policy)).flatMap(allConditions);
    const probes = new Probes(gateway, conditions);
    for (const { request } of list) {
      const holds = probes.holding(request);
      for (const condition of conditions) {
        const alone: Configuration = { ...configuration, namespace: "p", workloads: [], rootNamespace: "p", policies: [{ metadata: { name: "p", namespace: "p" }, spec: { rules: [condition.alone as never] } }] };
        expect({ key: condition.key, request, holds: holds(condition) }).toEqual({ key: condition.key, request, holds: decide(alone, plain(request, undefined)).allowed });
      }
    }
    probes.close();
    gateway.close();
  }), { numRuns: Math.ceil(RUNS / 3) });
});

test("an explanation says what the module decides; a near rule lacks something, a rule that decided nothing", () => {
  fc.assert(fc.property(configurations, several, (random, list) => {
    const { node, gateway } = nodeOf(code, random);
    for (const { request } of list) {
      const arrival = node.arrive(gateway.listeners[0]!, request);
      if (arrival.kind === "unknown") throw new Error("all is known");
      const explanation = explain(node, arrival, request, { nearest: 100 });
      if (arrival.kind !== "arrived") {
        expect(explanation.verdict).toBe(arrival.kind === "redirected" ? "redirect" : "refuse");
        continue;
      }
      const { allowed, rule, dryRun } = gateway.decide(arrival.request, arrival.route?.name);
      expect(explanation.verdict).toBe(allowed ? "allow" : "deny");
      expect(explanation.by?.name).toBe(rule && `${rule.policy}#${rule.rule}`);
      // The module counts what policies on trial say of any workload, as soon as there are some anywhere.
      if (explanation.dryRun || dryRun?.rule) expect(explanation.dryRun?.verdict).toBe(dryRun!.allowed ? "allow" : "deny");
      else if (dryRun) expect(dryRun.allowed).toBe(true);
      for (const near of explanation.nearest) {
        expect(near.failed.length).toBeGreaterThan(0);
        expect(near.fulfilled + near.failed.length).toBe(near.conditions);
      }
      const parts = explanation.nearest.map(({ fulfilled, conditions }) => fulfilled / conditions);
      expect(parts).toEqual([...parts].sort((a, b) => b - a));
      // Of each list that the rule has, something held.
      if (explanation.by) {
        const { from = [], to = [] } = node.policy(rule!.policy)!.spec.rules![rule!.rule]!;
        expect(explanation.by.conditions.length).toBeGreaterThanOrEqual(Number(from.length > 0) + Number(to.length > 0));
      }
    }
    gateway.close();
  }), { numRuns: Math.ceil(RUNS / 2) });
});

test("what is left open favours a request, or doesn't: the decision lies between", () => {
  fc.assert(fc.property(configurations, several, fc.array(fc.nat(), { minLength: 1, maxLength: 4 }), (random, list, picks) => {
    const { gateway } = nodeOf(code, random);
    const attributes = [...attributesOf(gateway.policies)];
    const open = new Set(picks.flatMap((pick) => attributes[pick % (attributes.length || 1)] ?? []));
    const [most, least] = [true, false].map((allow) => gateway.moduleWith({ policies: gateway.policies.map((policy) => ({ ...policy.value, spec: favouring(policy, open, allow) })) as never }));
    for (const { request, route } of list) {
      const { allowed } = gateway.decide(request, route);
      if (allowed) expect(most!.decide(request, route).allowed).toBe(true);
      else expect(least!.decide(request, route).allowed).toBe(false);
      if (open.size === 0) expect(most!.decide(request, route)).toEqual(least!.decide(request, route));
    }
    most!.close();
    least!.close();
    gateway.close();
  }), { numRuns: RUNS });
});

test("what reach tells holds for any request of that principal", () => {
  fc.assert(fc.property(configurations, requests, several, (random, { peer }, list) => {
    const { node, gateway } = nodeOf(code, random);
    const { reaches, findings } = reach(node, peer);
    expect(findings).toEqual([]);
    for (const { request } of list) {
      // What arrives at a listener arrives at its port.
      const listener = gateway.listeners[0]!;
      const arrival = node.arrive(listener, { ...request, peer, local: { ...request.local, port: listener.port } });
      if (arrival.kind !== "arrived" || !arrival.route) continue;
      const told = reaches.find(({ workload, routes: all }) => workload === (arrival.workload.name ?? arrival.workload.routes[0]) || all.includes(`/${arrival.route!.name}/*`))!;
      const { allowed, rule } = gateway.decide(arrival.request, arrival.route.name);
      if (told.access === "none") expect({ told, allowed }).toEqual({ told, allowed: false });
      if (told.access === "all") expect({ told, allowed }).toEqual({ told, allowed: true });
      // Whatever rule decides has been told, with all that it asks.
      const stated = [...told.own!.allowed, ...told.own!.denied].map((each) => each.rule);
      if (rule) expect(stated).toContain(`${rule.policy}#${rule.rule}`);
    }
    gateway.close();
  }), { numRuns: Math.ceil(RUNS / 3) });
});
