/** What a principal can reach, as a person reads it. */
import { place } from "../explain/text.ts";
import type { Reach, ReachResult, Sample, StageReach, Statement } from "./reach.ts";

type Paint = Record<"red" | "green" | "yellow" | "dim" | "bold", (text: string) => string>;

const WORDS = { all: "everything", some: "some", none: "nothing", refused: "no connection" } as const;

export function reachText({ principal, reaches }: ReachResult, paint: Paint): string {
  const lines = [`${paint.bold(principal)} can reach:`];
  for (const each of reaches) lines.push("", ...reachLines(each, paint));
  const open = reaches.filter(({ access }) => access === "all" || access === "some").length;
  lines.push("", `${open} of ${reaches.length} destinations${reaches.some(({ access }) => access === "some") ? ", some under conditions" : ""}`);
  return lines.join("\n");
}

function reachLines({ listener, workload, routes, access, reason, where, gateway, own, onTrial, sample }: Reach, paint: Paint): string[] {
  const color = access === "all" ? paint.green : access === "some" ? paint.yellow : paint.red;
  const lines = [`${color(WORDS[access].padEnd(13))} ${paint.bold(workload)}  ${paint.dim(`${listener}  ${routes.slice(0, 4).join("  ")}${routes.length > 4 ? `  and ${routes.length - 4} more routes` : ""}`)}`];
  if (access !== "some") {
    lines.push(`  ${reason}${where ? `  ${paint.dim(place(where))}` : ""}`);
    if (access === "all" && sample) lines.push(`  ${paint.dim(`tried: ${sampleText(sample)}`)}`);
  } else {
    if (gateway) lines.push(...stageLines(gateway, "at the Gateway: ", paint));
    if (own) lines.push(...stageLines(own, "", paint));
    if (!own && !gateway) lines.push(`  ${reason}`);
  }
  if (onTrial.length > 0) lines.push(`  ${paint.dim(`on trial, without effect: ${onTrial.join(", ")}`)}`);
  return lines;
}

function stageLines({ open, allowed, denied }: StageReach, prefix: string, paint: Paint): string[] {
  return [
    ...(open ? [`  ${prefix}everything, as no ALLOW policy applies`] : allowed.map((statement) => allowLine(statement, prefix, paint))),
    ...denied.map(({ rule, where, conditions }) => `  ${prefix}${paint.red("but not")} ${conditionsText(conditions)}  ${paint.dim(`${rule} ${place(where)}`)}`),
  ];
}

function allowLine({ rule, where, conditions, sample }: Statement, prefix: string, paint: Paint): string {
  const what = conditions.length === 0 ? (sample && "source" in sample ? "every connection" : "every request") : conditionsText(conditions);
  const tried = sample ? `tried: ${sampleText(sample)}` : "nothing that was tried got through: a DENY rule, a route or another condition may be in the way";
  return `  ${prefix}${sample ? "" : `${paint.yellow("may")} `}${what}  ${paint.dim(`${rule} ${place(where)}`)}\n    ${paint.dim(tried)}`;
}

function conditionsText(conditions: Statement["conditions"]): string {
  return conditions.map(({ field, negated, values }) => `${field === "notValues" ? "" : field}${negated && !/^not[A-Z]/.test(field) ? " not" : ""} ${values.slice(0, 8).join(", ")}${values.length > 8 ? ` and ${values.length - 8} more` : ""}`.trim()).join("; ");
}

function sampleText(sample: Sample): string {
  if ("source" in sample) return `from ${sample.source}${sample.direct === sample.source ? "" : ` by ${sample.direct}`}${sample.sni === undefined ? "" : ` as ${sample.sni}`}`;
  const { method, host, path, headers } = sample;
  return `${method} ${host}${path}${headers.map(([name, value]) => ` ${name}: ${value}`).join("")}`;
}
