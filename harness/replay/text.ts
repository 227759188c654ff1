/** What a replay found, as a person reads it. */
import { place } from "../explain/text.ts";
import type { FlipGroup, ReplayResult, Side } from "./replay.ts";

type Paint = Record<"red" | "green" | "yellow" | "dim" | "bold", (text: string) => string>;

const WORDS = { allow: "allowed", deny: "denied", refuse: "refused", redirect: "redirected" } as const;

export function replayText(result: ReplayResult, log: string, most: number, paint: Paint): string {
  const { flips, groups, undecided, decided, lines, unlikeRecorded, byOtherRule, ungrouped, requestsPerSecond } = result;
  const out: string[] = [];
  for (const group of groups.slice(0, most)) out.push(...groupLines(group, log, paint), "");
  if (groups.length > most || ungrouped > 0) out.push(paint.dim(`and ${groups.slice(most).reduce((sum, { count }) => sum + count, ungrouped)} more flips (--limit, --json)`), "");
  for (const { reason, count, line } of undecided.slice(0, most)) out.push(`${paint.yellow("not decided")}  ${count}: ${reason}  ${paint.dim(`${log}:${line}`)}`);
  if (unlikeRecorded.count > 0) out.push(`${paint.yellow("unlike recorded")}  ${unlikeRecorded.count}: --old doesn't decide as was decided then, so it isn't what was in force  ${paint.dim(`${log}:${unlikeRecorded.line}`)}`);
  const open = lines - decided;
  out.push(
    `${flips === 0 ? paint.green("nothing flips") : paint.red(`${flips} of ${decided} requests flip`)}${flips > 0 ? `, in ${groups.length} groups` : ` of ${decided} requests`}`
      + (byOtherRule > 0 ? `; ${byOtherRule} keep their decision, by another rule` : "")
      + (open > 0 ? `; ${open} of ${lines} lines not decided` : "")
      + paint.dim(` (${requestsPerSecond} requests/s)`),
  );
  return out.join("\n");
}

function groupLines({ principal, workload, method, path, from, to, count, line, example }: FlipGroup, log: string, paint: Paint): string[] {
  const color = to.verdict === "allow" ? paint.yellow : paint.red;
  return [
    `${color(paint.bold(`${WORDS[from.verdict]} → ${WORDS[to.verdict]}`))}  ${count}×  ${principal}  →  ${workload}  ${method} ${path}  ${paint.dim(`${log}:${line}${example === path ? "" : ` ${example}`}`)}`,
    `  was ${WORDS[from.verdict]} ${by(from, paint)}`,
    `  now ${WORDS[to.verdict]} ${by(to, paint)}`,
  ];
}

function by({ verdict, rule, where }: Side, paint: Paint): string {
  if (rule === undefined) return verdict === "deny" ? "because no ALLOW rule matches" : verdict === "allow" ? "because no policy applies" : "";
  return `by ${paint.bold(rule)}${where ? `  ${paint.dim(place(where))}` : ""}`;
}
