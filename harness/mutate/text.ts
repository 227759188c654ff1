/** What mutation found, as a person reads it. */
import { place } from "../explain/text.ts";
import type { Mutation, Unnoticed } from "./mutate.ts";

type Paint = Record<"red" | "green" | "yellow" | "dim" | "bold", (text: string) => string>;

export function mutationText({ mutants, noticed, survivors, equivalent, refused, unattached, durationMs }: Mutation, paint: Paint): string {
  const lines: string[] = [];
  for (const each of survivors) lines.push(`${paint.red("unnoticed")}  ${head(each, paint)}`, `    ${paint.dim(`no test asks: ${exampleOf(each)}`)}`);
  for (const each of equivalent) lines.push(`${paint.yellow("no difference found")}  ${head(each, paint)}`);
  if (unattached.length > 0) lines.push(`${paint.yellow("not changed")}, as they concern no route: ${unattached.join(", ")}`);
  lines.push(
    `${survivors.length === 0 ? paint.green(`${noticed} of ${mutants} changes noticed`) : paint.red(`${survivors.length} of ${mutants} changes unnoticed`)}`
      + (equivalent.length > 0 ? `; ${equivalent.length} make no difference to any request that was tried` : "")
      + (refused > 0 ? `; ${refused} more would not load` : "")
      + paint.dim(` in ${(durationMs / 1000).toFixed(1)} s`),
  );
  return lines.join("\n");
}

const head = ({ policy, change, where }: Unnoticed, paint: Paint): string => `${paint.bold(policy)}: ${change}  ${paint.dim(place(where))}`;

function exampleOf({ difference }: Unnoticed): string {
  const { principal, method, host, path, headers, connection, workload, from, to } = difference!;
  const what = connection ? `connects from ${connection.source}${connection.direct === connection.source ? "" : ` by ${connection.direct}`}${connection.sni === undefined ? "" : ` as ${connection.sni}`}` : `${method} ${host}${path}`;
  return `${principal ?? "anonymous"} ${what}${headers.map(([name, value]) => ` ${name}: ${value}`).join("")}${workload === undefined ? "" : ` (${workload})`}: ${from} became ${to}`;
}
