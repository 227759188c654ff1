/** The cases of a folder's PolicyTests: one for each combination of what they list. */
import { SelvedgeError, UsageError, type Finding, type Position } from "../errors.ts";
import { askedBy, type Asked } from "../explain/request.ts";
import type { EdgeNode } from "../decide/node.ts";
import { POLICY_TEST, type CaseSpec, type PolicyTestSpec } from "./schema.ts";

export interface PolicyCase {
  name: string;
  where: Position;
  expect: CaseSpec["expect"];
  by: string | undefined;
  asked: Asked;
  /** What only the host can do, and why; undefined: a real Envoy can, too. */
  hostOnly: string | undefined;
}

const LISTS = ["as", "method", "host", "path"] as const;

/** @param only a file: just its cases */
export function policyCases(node: EdgeNode, only?: string): { cases: PolicyCase[]; findings: Finding[] } {
  const cases: PolicyCase[] = [];
  const findings: Finding[] = [];
  for (const { apiVersion, kind, value, source } of node.policies.external) {
    if (`${apiVersion}/${kind}` !== POLICY_TEST || (only !== undefined && source.file !== only)) continue;
    const { spec, metadata } = value as { spec: PolicyTestSpec; metadata: { name: string } };
    spec.cases.forEach((each, index) => {
      const where = source.at(["spec", "cases", index]);
      const merged = { ...spec.defaults, ...each, headers: { ...spec.defaults?.headers, ...each.headers } };
      for (const row of combinations(merged)) {
        try {
          const asked = askedBy(node, flagsOf(row));
          cases.push({ name: nameOf(metadata.name, each, row, asked), where, expect: each.expect, by: each.by, asked, hostOnly: hostOnly(row, asked) });
        } catch (error) {
          if (error instanceof SelvedgeError) findings.push(...error.findings.map((finding) => ({ ...finding, where })));
          else if (error instanceof UsageError) findings.push({ code: "policy-test", severity: "error", message: error.message.replaceAll("--", ""), where });
          else throw error;
        }
      }
    });
  }
  return { cases, findings };
}

type Row = Omit<CaseSpec, (typeof LISTS)[number]> & Partial<Record<(typeof LISTS)[number], string>>;

function combinations(spec: CaseSpec): Row[] {
  return LISTS.reduce<Row[]>((rows, field) => {
    const value = spec[field];
    return Array.isArray(value) ? rows.flatMap((row) => value.map((one) => ({ ...row, [field]: one }))) : rows;
  }, [spec as Row]);
}

function flagsOf({ headers, claims, port, ...row }: Row): Parameters<typeof askedBy>[1] {
  return {
    ...row,
    headers: Object.entries(headers ?? {}).map(([name, value]) => `${name}:${value}`),
    ...(port !== undefined && { port: String(port) }),
    ...(claims !== undefined && { jwtClaims: JSON.stringify(claims) }),
  };
}

function nameOf(test: string, { name, expect }: CaseSpec, { as: who = "anonymous", to, method = "GET", host, path = to === undefined ? "/" : "", port, sni, ip, remoteIp }: Row, { request: { connection } }: Asked): string {
  const from = remoteIp ?? ip;
  const request = connection ? `${who} to ${to ?? `port ${port ?? "of the listener"}`}${sni === undefined ? "" : ` as ${sni}`}${from === undefined ? "" : ` from ${from}`}` : `${who} ${method} ${to ?? host ?? ""}${path}`;
  return `${test}: ${name === undefined ? `${request} ${expect}` : `${name} (${request})`}`;
}

function hostOnly({ to, claims, ip }: Row, { request: { connection } }: Asked): string | undefined {
  if (to !== undefined && !connection) return "it names its destination by `to`; Envoy goes by host and path";
  if (claims !== undefined) return "claims need a token that Envoy verifies";
  if (ip !== undefined && !ip.startsWith("127.")) return "the physical peer is on this machine: only addresses of 127.0.0.0/8";
  return undefined;
}
