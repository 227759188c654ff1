/** An explanation as a person reads it. */
import { relative } from "node:path";
import { formatPosition, type Position } from "../errors.ts";
import type { DecidingRule, Explanation } from "./explain.ts";

interface Paint {
  red: (text: string) => string;
  green: (text: string) => string;
  yellow: (text: string) => string;
  dim: (text: string) => string;
  bold: (text: string) => string;
}

export function place(where: Position): string {
  const path = relative(process.cwd(), where.file);
  return formatPosition({ ...where, file: path.startsWith("../../") ? where.file : path });
}

const WORDS = { allow: "ALLOWED", deny: "DENIED", refuse: "REFUSED", redirect: "REDIRECTED" } as const;

export function explanationText(explanation: Explanation, paint: Paint): string {
  const { verdict, reason, request, connection, listener, route, workload, stage, by, policies, nearest, dryRun, assumed } = explanation;
  const color = verdict === "allow" ? paint.green : paint.red;
  const lines = [
    `${color(paint.bold(WORDS[verdict]))}  ${request ? `${request.principal}  ${request.method} ${request.host} ${request.path}` : connectionText(connection!)}`,
    `  ${reason}`,
    `  ${paint.dim("listener")} ${listener}   ${request ? `${paint.dim("route")} ${route ?? "none"}   ` : ""}${paint.dim(request ? "workload" : "backend")} ${workload ?? "none"}   ${paint.dim("stage")} ${stage}`,
  ];
  if (by) lines.push("", ...ruleLines(by, "by", paint));
  if (nearest.length > 0) {
    lines.push("", "  nearest rules, and what each lacks:");
    for (const rule of nearest) {
      lines.push(`    ${paint.bold(`${rule.policy}#${rule.rule}`)}  ${rule.fulfilled} of ${rule.conditions} conditions  ${paint.dim(place(rule.where))}`);
      const [first, ...others] = rule.failed;
      if (!first) continue;
      lines.push(`      ${first.field}: found ${paint.red(first.found)}, expected ${first.expected}  ${paint.dim(place(first.where))}`);
      if (others.length > 0) lines.push(`      ${paint.dim(`then ${others.map(({ field }) => field).join(", ")}`)}`);
    }
  }
  const empty = policies.filter(({ action, rules, dryRun: onTrial }) => action === "ALLOW" && rules === 0 && !onTrial);
  if (verdict === "deny" && !by && nearest.length === 0 && empty.length > 0) {
    lines.push("", "  policies without rules, which allow nothing:", ...empty.map(({ name, action, where }) => `    ${paint.bold(name)}  ${action}  ${paint.dim(place(where))}`));
  }
  if (dryRun) {
    lines.push("", `  ${paint.yellow("on trial")} (dry run): the policies on trial alone would ${dryRun.verdict} it`);
    if (dryRun.by) lines.push(...ruleLines(dryRun.by, "by", paint));
  }
  if (assumed.length > 0) lines.push("", `  ${paint.yellow("assumed")}: ${assumed.join("; ")}`);
  return lines.join("\n");
}

function connectionText({ principal, source, destination, sni }: NonNullable<Explanation["connection"]>): string {
  return `${principal}  connection from ${source} to ${destination}${sni === undefined ? "" : ` as ${sni}`}`;
}

function ruleLines({ name, action, where, conditions }: DecidingRule, word: string, paint: Paint): string[] {
  return [
    `  ${word} ${action} ${paint.bold(name)}  ${where ? paint.dim(place(where)) : ""}`.trimEnd(),
    ...conditions.map((condition) => `    ${condition.field}: ${condition.found} is ${condition.expected}  ${paint.dim(place(condition.where))}`),
  ];
}
